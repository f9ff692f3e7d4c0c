"""The gate: is a candidate better than the logging policy, and does it harm nobody?

    python -m jobs.evaluate_release --home .rapport --set gate.margin=0.02

Judges on users that taught the candidate nothing and writes its verdict.json, then its empathy
card. Next: promote_release.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import EvaluateConfig


def evaluate_release(config: EvaluateConfig) -> Result:
    """Judge a candidate; a refusal is a result, not a failure."""
    from rapport.pipeline import verdicts
    from rapport.report.empathy import card_of_candidate

    verdict = verdicts.evaluate_release(config)
    return {**verdict, "card": card_of_candidate(config, verdict)}


JOB = Job(
    config=EvaluateConfig,
    call=evaluate_release,
    reads=(
        "turns", "decisions", "feedback", "rewards", "turn_embeddings",
        "encoder", "personas", "scorers", "candidate",
    ),
    writes=("verdict",),
    rows_per_s=6_000,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
