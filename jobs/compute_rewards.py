"""Feedback and next messages to rewards, served and ingested alike; the only writer of `rewards`.

    python -m jobs.compute_rewards --home .rapport

Running it again adds a row only where late feedback changed a reward. Next: segment_personas.
"""

import sys

from rapport.config import JobConfig
from rapport.pipeline.rewards import reward_log
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(JobConfig, reward_log, file=__file__))
