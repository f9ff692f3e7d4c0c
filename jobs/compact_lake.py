"""Small files merged, old texts blanked, and versions that no release names swept away.

    python -m jobs.compact_lake --home .rapport

Runs beside the others; run it when nobody waits, for example once a night.
"""

import sys

from rapport.config import JobConfig
from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.schema import SCHEMAS


def compact_lake(config: JobConfig) -> Result:
    """Merge, blank and sweep every table."""
    from rapport.pipeline import compaction

    return compaction.compact_lake(config)


JOB = Job(
    config=JobConfig,
    call=compact_lake,
    reads=(*(name for name in SCHEMAS if name != "runs"), "tenants"),
    writes=tuple(name for name in SCHEMAS if name != "runs"),
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
