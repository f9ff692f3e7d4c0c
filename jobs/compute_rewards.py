"""Feedback and next messages to rewards, served and ingested alike; the only writer of `rewards`.

    python -m jobs.compute_rewards --home .rapport

Running it again adds a row only where late feedback changed a reward. Next: segment_personas.
"""

import sys

from rapport.config import JobConfig
from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job


def compute_rewards(config: JobConfig) -> Result:
    """Compute every decision's reward and append those that are new or changed."""
    from rapport.pipeline.rewards import reward_log

    return reward_log(config)


JOB = Job(
    config=JobConfig,
    call=compute_rewards,
    reads=("turns", "decisions", "feedback", "scorers"),
    writes=("rewards",),
    rows_per_s=8_000,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
