"""The lake taken care of: texts past their time, small files, versions that nobody names.

    python -m jobs.compact_lake --home .rapport

Safe beside everything else and after a crash. `retention_days` stands in the tenants file. Old
versions stay as long as a release or a candidate was made from them.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import CompactConfig
from rapport.schema import SCHEMAS

_TABLES = tuple(name for name in SCHEMAS if name != "runs")  # every job appends to that one


def compact_lake(config: CompactConfig) -> Result:
    """Blank, merge and sweep every table."""
    from rapport.pipeline import compaction

    return compaction.compact_lake(config)


JOB = Job(
    config=CompactConfig,
    call=compact_lake,
    reads=(*_TABLES, "today", "tenants"),
    writes=_TABLES,
)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
