"""Turns to turn vectors to user vectors, by this process or by Ray Data past a threshold.

    python -m jobs.embed_users --home .rapport --set threshold_turns=5000

Computes only what is missing; running it again does nothing. Next: compute_rewards.
"""

import sys

from rapport.cluster.embedding import EmbedConfig, embed_log
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(EmbedConfig, embed_log, file=__file__))
