"""What was served, from the store's outbox into the lake, every row exactly once.

    python -m jobs.relay_outbox --home .rapport

Killed at any point it loses no row and doubles none. Next: embed_users.
"""

import sys

from rapport.config import JobConfig
from rapport.pipeline.outbox import relay_all
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(JobConfig, relay_all, file=__file__))
