"""Turns to turn vectors to user vectors, by this process or by Ray Data past a threshold.

    python -m jobs.embed_users --home .rapport --set threshold_turns=5000

Computes only what is missing, and goes on where it was stopped. Next: compute_rewards.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import EmbedConfig


def embed_users(config: EmbedConfig) -> Result:
    """Embed the turns that have no vector yet, and every user."""
    from rapport.cluster.embedding import embed_log

    return embed_log(config)


JOB = Job(
    config=EmbedConfig,
    call=embed_users,
    reads=("turns",),
    writes=("turn_embeddings", "user_embeddings", "encoder"),
    rows_per_s=340,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
