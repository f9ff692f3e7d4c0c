"""Feedback to a response policy: the reward model and RLlib MARWIL compete in one Tune run.

    python -m jobs.train_policy --home .rapport --set trials=6

Ends with a candidate under releases/.candidates/. With `search=false` the settings of the
policy trained last are taken. Killed, it keeps its finished trials. Next: evaluate_release.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import TrainPolicyConfig


def train_policy(config: TrainPolicyConfig) -> Result:
    """Train a policy on every decision that may be learned from, and stage a candidate."""
    from rapport.cluster import policies

    return policies.train_policy(config)


JOB = Job(
    config=TrainPolicyConfig,
    call=train_policy,
    reads=(
        "turns", "decisions", "feedback", "rewards", "turn_embeddings",
        "encoder", "personas", "strategies", "adapters", "scorers", "recipe",
    ),
    writes=("candidate", "last_policy"),
    rows_per_s=3_000,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
