"""A judged candidate to the release that serves.

    python -m jobs.promote_release --home .rapport

A canary under way is looked at first, and nothing else is promoted until it ends. A refused policy
is replaced by the incumbent's and the rest is published; the exit code is then 3.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import PromoteConfig


def promote_release(config: PromoteConfig) -> Result:
    """Publish what was judged and let it serve."""
    from rapport.pipeline import canaries

    return canaries.promote_release(config)


JOB = Job(
    config=PromoteConfig,
    call=promote_release,
    reads=("candidate", "verdict", "user_embeddings", "persona_assignments"),
    writes=("metrics", "lineage", "release"),
    rows_per_s=1_000,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
