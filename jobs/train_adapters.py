"""Good replies to adapters: one shared LoRA, then one a persona, in one Ray Train run.

    python -m jobs.train_adapters --home .rapport --set shared_tokens=20000

Then writes replies under every arm to see which arms show; the others are served from the
approved library. Killed, it goes on from its last checkpoint. Next: train_policy.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import AdaptersConfig


def train_adapters(config: AdaptersConfig) -> Result:
    """Train every adapter, see which arms show, and fit the discriminator of replies."""
    from rapport.cluster import adapters

    return adapters.train_adapters(config)


JOB = Job(
    config=AdaptersConfig,
    call=train_adapters,
    reads=("turns", "decisions", "rewards", "persona_assignments", "strategies"),
    writes=("adapters",),
    rows_per_s=350,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
