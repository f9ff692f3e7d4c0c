"""The gate: is a candidate better than the logging policy, and does it harm nobody?

    python -m jobs.evaluate_release --home .rapport --set gate.margin=0.02

Judges on users that taught the candidate nothing and writes its verdict.json. Next:
promote_release.
"""

import sys
from dataclasses import asdict
from typing import Any

from rapport.config import JobConfig
from rapport.evaluation.verdict import GateSettings
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.records import keep_record
from rapport.pipeline.verdicts import judge
from rapport.runner import run_job


class EvaluateConfig(JobConfig):
    """What to judge, and how strictly."""

    candidate: str | None = None
    """Id of a candidate; none takes the newest."""
    gate: GateSettings = GateSettings()


def evaluate_release(config: EvaluateConfig) -> dict[str, Any]:
    """Judge a candidate; a refusal is a result, not a failure."""
    home, lake = Home(config.home), lake_of(config)
    verdict = judge(
        home,
        lake,
        tenant=config.tenant,
        candidate=config.candidate,
        settings=config.gate,
    )
    keep_record(home, lake, "evaluate_release", config)
    return {**verdict.to_json(), "rows": [asdict(row) for row in verdict.rows]}


if __name__ == "__main__":
    sys.exit(run_job(EvaluateConfig, evaluate_release, file=__file__))
