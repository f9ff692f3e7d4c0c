"""The stage `embed_users` with its two runners: this process, or Ray Data past a threshold."""

from dataclasses import asdict
from functools import partial
from typing import Any

from rapport.cluster.data import ACTORS, stream_texts
from rapport.cluster.session import ray_session
from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.records import keep_record
from rapport.text import load_encoder
from rapport.users.embed import EmbedCounts, embed_users, missing_turns, stream_turns
from rapport.users.encoder import HALF_LIFE_DAYS


class EmbedConfig(JobConfig):
    """Settings of `embed_users`."""

    threshold_turns: int = 5_000
    """Turns without a vector from which Ray Data does the work."""
    actors: int = ACTORS
    """Processes of the Ray Data runner, one processor each."""
    half_life_days: float = HALF_LIFE_DAYS
    """Days after which an event counts half in a user's vector."""


def embed_log(config: EmbedConfig) -> dict[str, Any]:
    """Embed the turns that have no vector yet, and every user; leave the user encoder behind."""
    home, lake = Home(config.home), lake_of(config)
    encoder = load_encoder(config.encoder)
    missing = missing_turns(lake, encoder_id=encoder.encoder_id, tenant=config.tenant)
    by_ray = missing >= config.threshold_turns
    run = partial(
        embed_users,
        lake,
        encoder_id=encoder.encoder_id,
        half_life_days=config.half_life_days,
        budget_s=config.seconds,
        tenant=config.tenant,
    )
    if by_ray:
        stream = partial(stream_texts, encoder_uri=config.encoder, actors=config.actors)
        with ray_session(home):
            fitted, counts = run(stream=stream)
    else:
        fitted, counts = run(stream=lambda texts: stream_turns(texts, encoder))
    fitted.save(home.work / "encoder")
    keep_record(home, lake, "embed_users", config)
    return {**asdict(counts), "runner": "Ray Data" if by_ray else "one process", **_stopped(counts)}


def _stopped(counts: EmbedCounts) -> dict[str, str]:
    return {"stopped_by": f"budget, {counts.left} turns left"} if counts.left else {}
