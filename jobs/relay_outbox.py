"""What was served, from the store's outbox into the lake, every row exactly once.

    python -m jobs.relay_outbox --home .rapport

Killed at any point it loses no row and doubles none. Next: embed_users.
"""

import sys

from rapport.config import JobConfig
from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job


def relay_outbox(config: JobConfig) -> Result:
    """Close decisions whose process died, then move everything that waits to the lake."""
    from rapport.pipeline.outbox import relay_all

    return relay_all(config)


JOB = Job(
    config=JobConfig,
    call=relay_outbox,
    reads=("outbox",),
    writes=("turns", "decisions", "feedback", "users"),
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
