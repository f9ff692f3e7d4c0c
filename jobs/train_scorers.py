"""The strategy scorer on the log at hand; with `data`, scorers of affect on labelled sets.

    python -m jobs.train_scorers --home .rapport
    python -m jobs.train_scorers --home .rapport --set 'data=["goemotions", "epitome", "esconv"]'

Weights trained on a set stay in this home and carry its licence. Next: train_adapters.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import ScorersConfig


def train_scorers(config: ScorersConfig) -> Result:
    """Train the strategy scorer on the log at hand, on users no adapter learns from."""
    from rapport.pipeline import scorers

    return scorers.train_scorers(config)


JOB = Job(
    config=ScorersConfig,
    call=train_scorers,
    reads=("turns", "decisions", "labelled_sets"),
    writes=("strategies", "scorers"),
    rows_per_s=4_000,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
