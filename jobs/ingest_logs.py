"""Other people's logs into the lake: what `rapport ingest` runs.

    python -m jobs.ingest_logs --home .rapport --set format=simulation --set 'paths=["log"]'

Good rows are kept, bad ones go to quarantine with file, position, field and reason; a second
ingest of the same changes nothing. Next: embed_users.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import IngestConfig


def ingest_logs(config: IngestConfig) -> Result:
    """Ingest and account for every row."""
    from rapport.pipeline import ingesting

    return ingesting.ingest_logs(config)


JOB = Job(
    config=IngestConfig,
    call=ingest_logs,
    reads=("files", "tenants"),
    writes=("turns", "decisions", "feedback", "users", "quarantine"),
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
