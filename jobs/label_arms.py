"""Arms and decisions for logs that name none: from the menu's exemplars, propensities estimated.

    python -m jobs.label_arms --home .rapport --set confidence=0.5

Logs that carry decisions are left as they are. A reply whose arm is not sure stays unlabelled.
Next: compute_rewards.
"""

import sys

from rapport.pipeline.labels import LabelConfig, label_arms
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(LabelConfig, label_arms, file=__file__))
