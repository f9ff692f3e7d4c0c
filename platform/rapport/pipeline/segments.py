"""The stage `segment_personas`: users to named personas with cards."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.affect.languages import readable
from rapport.affect.scorers import AffectScorer, load_scorer
from rapport.home import Home
from rapport.lake import lake_of
from rapport.personas.cards import save_cards
from rapport.personas.model import PersonaModel
from rapport.personas.segmentation import Scorer, SegmentSettings, segment_personas
from rapport.pipeline.policies import part
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import SegmentConfig
from rapport.release import current
from rapport.scratch import replaced
from rapport.users.encoder import UserEncoder
from rapport.users.parts import Mapper

FloatArray = NDArray[np.float32]


def segment(config: SegmentConfig, *, mapper: Mapper = map) -> dict[str, Any]:
    """Find personas, assign everybody, and leave model and cards for the release.

    Personas keep the names of the release that serves.

    Args:
        config: How.
        mapper: Runs the parts of users.
    """
    home, lake = Home(config.home), lake_of(config)
    serving, encoder = current(home.releases), UserEncoder.load(part(home, "encoder"))
    found = segment_personas(
        lake,
        encoder=encoder,
        settings=SegmentSettings(
            seed=config.seed,
            k=config.k,
            with_events=config.with_events,
            tenant=config.tenant,
            fit_users=config.fit_users,
            held_turns=config.held_turns,
            scratch=home.work,
        ),
        previous=PersonaModel.load(serving / "personas") if serving else None,
        emotions=_emotions(load_scorer(home.root / "models", encoder_id=encoder.encoder_id)),
        mapper=mapper,
    )
    with replaced(home.work / "personas") as folder:
        found.model.save(folder)
        save_cards(found.cards, folder)
        cards = json.loads((folder / "cards.json").read_text(encoding="utf-8"))
    keep_record(home, lake, "segment_personas", config)
    return {"k": len(found.model.names), "users": found.assigned, "personas": cards}


def _emotions(scorer: AffectScorer) -> Scorer:
    """What reads emotions; of texts in a language whose affect is not read it says none."""

    def read(texts: Sequence[str], vectors: FloatArray) -> FloatArray:
        return np.asarray(np.where(readable(texts)[:, None], scorer.emotion(texts, vectors), 0.0))

    return read
