"""The stage `segment_personas` with its two runners: this process, or Ray Data past a threshold."""

from functools import partial
from typing import Any

from rapport.cluster.data import map_parts
from rapport.cluster.session import ray_session
from rapport.home import Home
from rapport.lake import lake_of
from rapport.personas.gathering import turns_to_deal
from rapport.pipeline.policies import part
from rapport.pipeline.segments import segment
from rapport.pipeline.settings import SegmentConfig
from rapport.users.encoder import UserEncoder


def segment_log(config: SegmentConfig) -> dict[str, Any]:
    """Find personas and assign everybody; both runners give the same."""
    home = Home(config.home)
    encoder = UserEncoder.load(part(home, "encoder"))
    turns = turns_to_deal(lake_of(config), encoder_id=encoder.encoder_id, tenant=config.tenant)
    if turns < config.threshold_turns:
        return {**segment(config), "runner": "one process"}
    with ray_session(home):
        found = segment(config, mapper=partial(map_parts, tasks=2 * config.actors))
    return {**found, "runner": "Ray Data"}
