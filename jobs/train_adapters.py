"""Good replies to adapters: one shared LoRA, then one a persona, in one Ray Train run.

    python -m jobs.train_adapters --home .rapport --set shared_tokens=20000

Then writes replies under every arm to see which arms show; the others are served from the
approved library. Next: train_policy.
"""

import sys

from rapport.cluster.adapters import AdaptersConfig, train_adapters
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(AdaptersConfig, train_adapters, file=__file__))
