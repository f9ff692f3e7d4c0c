"""Nudges about open tasks, or not now: decided by a policy, within quiet hours, consent and age.

    python -m jobs.propose_nudges --home .rapport

Decides about a task once in `again_h` hours; run it every hour. `GET /v1/nudges` hands them out.
Next: relay_outbox, compute_rewards.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import NudgeConfig


def propose_nudges(config: NudgeConfig) -> Result:
    """Decide about every open task."""
    from rapport.pipeline import nudging

    return nudging.propose_nudges(config)


JOB = Job(
    config=NudgeConfig,
    call=propose_nudges,
    reads=("turns", "users", "decisions", "rewards", "tenants", "hour"),
    writes=("outbox",),
    rows_per_s=100_000,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
