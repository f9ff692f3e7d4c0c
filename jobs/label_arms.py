"""Arms and decisions for logs that name none: from the menu's exemplars, propensities estimated.

    python -m jobs.label_arms --home .rapport --set confidence=0.5

Logs that carry decisions are left as they are. A reply whose arm is not sure stays unlabelled.
Next: compute_rewards.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import LabelConfig


def label_arms(config: LabelConfig) -> Result:
    """Label what can be labelled."""
    from rapport.pipeline import labels

    return labels.label_arms(config)


JOB = Job(
    config=LabelConfig,
    call=label_arms,
    reads=("turns", "decisions"),
    writes=("decisions",),
    rows_per_s=500,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
