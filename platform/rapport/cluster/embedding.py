"""The stage `embed_users` with its two runners: this process, or Ray Data past a threshold."""

from dataclasses import asdict
from functools import partial
from typing import Any

from rapport.cluster.data import map_parts, stream_texts
from rapport.cluster.session import ray_session
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import EmbedConfig
from rapport.text import load_encoder
from rapport.users.embed import (
    EmbedCounts,
    EmbedSettings,
    embed_users,
    missing_turns,
    stream_turns,
)


def embed_log(config: EmbedConfig) -> dict[str, Any]:
    """Embed the turns that have no vector yet and the users with something new."""
    home, lake = Home(config.home), lake_of(config)
    encoder = load_encoder(config.encoder)
    missing = missing_turns(lake, encoder_id=encoder.encoder_id, tenant=config.tenant)
    by_ray = missing >= config.threshold_turns
    settings = EmbedSettings(
        half_life_days=config.half_life_days,
        refit=config.refit,
        tenant=config.tenant,
        held_turns=config.held_turns,
        scratch=home.work,
        budget_s=config.seconds,
        held_texts=config.held_texts,
    )
    run = partial(
        embed_users, lake, encoder_id=encoder.encoder_id, settings=settings, work=home.work
    )
    if by_ray:
        stream = partial(stream_texts, encoder_uri=config.encoder, actors=config.actors)
        with ray_session(home):
            _, counts = run(stream=stream, mapper=partial(map_parts, tasks=2 * config.actors))
    else:
        _, counts = run(stream=lambda texts: stream_turns(texts, encoder))
    keep_record(home, lake, "embed_users", config)
    return {**asdict(counts), "runner": "Ray Data" if by_ray else "one process", **_stopped(counts)}


def _stopped(counts: EmbedCounts) -> dict[str, str]:
    return {"stopped_by": f"budget, {counts.left} turns left"} if counts.left else {}
