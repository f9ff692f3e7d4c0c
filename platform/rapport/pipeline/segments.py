"""The stage `segment_personas`: users to named personas with cards."""

import json
from typing import Any

from pydantic import Field

from rapport.affect.scorers import load_scorer
from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.personas.cards import save_cards
from rapport.personas.model import PersonaModel
from rapport.personas.segmentation import FIT_USERS, SegmentSettings, segment_personas
from rapport.pipeline.policies import part
from rapport.release import current
from rapport.users.encoder import UserEncoder
from rapport.users.parts import HELD_TURNS, Mapper


class SegmentConfig(JobConfig):
    """Settings of `segment_personas`."""

    k: int | None = None
    """Number of personas; none chooses it from the data."""
    with_events: bool = True
    """Whether behaviour counts beside words."""
    threshold_turns: int = 1_000_000
    """Turn vectors from which Ray Data does the work; below, its start takes longer than it."""
    actors: int = 2
    """Processors of the Ray Data runner."""
    fit_users: int = Field(default=FIT_USERS, ge=20)
    """Users the personas are learned from, at 1.5 KB each; all are assigned."""
    held_turns: int = Field(default=HELD_TURNS, ge=1)
    """Turns of users worked on at once; bounds memory."""


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
        emotions=load_scorer(home.root / "models", encoder_id=encoder.encoder_id).emotion,
        mapper=mapper,
    )
    folder = home.work / "personas"
    found.model.save(folder)
    save_cards(found.cards, folder)
    cards = json.loads((folder / "cards.json").read_text(encoding="utf-8"))
    return {"k": len(found.model.names), "users": found.assigned, "personas": cards}
