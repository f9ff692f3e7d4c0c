"""The stage `segment_personas`: users to named personas with cards."""

import json
from typing import Any

from rapport.affect.scorers import load_scorer
from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.personas.cards import save_cards
from rapport.personas.model import PersonaModel
from rapport.personas.segmentation import SegmentSettings, segment_personas
from rapport.pipeline.policies import part
from rapport.pipeline.records import keep_record
from rapport.release import current
from rapport.users.encoder import UserEncoder


class SegmentConfig(JobConfig):
    """Settings of `segment_personas`."""

    k: int | None = None
    """Number of personas; none chooses it from the data."""
    with_events: bool = True
    """Whether behaviour counts beside words."""


def segment(config: SegmentConfig) -> dict[str, Any]:
    """Find personas, assign everybody, and leave model and cards for the release.

    Personas keep the names of the release that serves.
    """
    home, lake = Home(config.home), lake_of(config)
    serving = current(home.releases)
    found = segment_personas(
        lake,
        encoder=UserEncoder.load(part(home, "encoder")),
        settings=SegmentSettings(config.seed, config.k, config.with_events, config.tenant),
        previous=PersonaModel.load(serving / "personas") if serving else None,
        emotions=load_scorer(home.root / "models").emotion,
    )
    folder = home.work / "personas"
    found.model.save(folder)
    save_cards(found.cards, folder)
    keep_record(home, lake, "segment_personas", config)
    cards = json.loads((folder / "cards.json").read_text(encoding="utf-8"))
    return {"k": len(found.model.names), "users": found.assigned, "personas": cards}
