"""The strategy scorer on the log at hand; with `data`, the affect scorer on labelled sets.

    python -m jobs.train_scorers --home .rapport
    python -m jobs.train_scorers --home .rapport --set 'data=["goemotions"]'

Weights trained on a set stay in this home and carry its licence. Next: train_adapters.
"""

import sys

from rapport.pipeline.scorers import ScorersConfig, train_scorers
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(ScorersConfig, train_scorers, file=__file__))
