"""A judged candidate to the release that serves.

    python -m jobs.promote_release --home .rapport

A refused policy is replaced by the incumbent's and the rest is published; the exit code is then 3.
"""

import sys
from typing import Any

from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.promotion import promote_judged
from rapport.runner import run_job


class PromoteConfig(JobConfig):
    """What to promote."""

    candidate: str | None = None
    """Id of a candidate; none takes the newest."""


def promote_release(config: PromoteConfig) -> dict[str, Any]:
    """Publish and let serve."""
    return promote_judged(Home(config.home), lake_of(config), candidate=config.candidate)


if __name__ == "__main__":
    sys.exit(run_job(PromoteConfig, promote_release, file=__file__))
