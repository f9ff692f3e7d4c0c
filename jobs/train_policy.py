"""Feedback to a response policy: the reward model and RLlib MARWIL compete in one Tune run.

    python -m jobs.train_policy --home .rapport --set trials=6

Ends with a candidate under releases/.candidates/. With `search=false` the settings of the
policy trained last are taken. Next: evaluate_release.
"""

import sys

from rapport.cluster.policies import TrainPolicyConfig, train_policy
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(TrainPolicyConfig, train_policy, file=__file__))
