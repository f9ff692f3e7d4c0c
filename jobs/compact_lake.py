"""The lake taken care of: texts past their time, small files, versions that nobody names.

    python -m jobs.compact_lake --home .rapport

Safe beside everything else and after a crash. `retention_days` stands in the tenants file. Old
versions stay as long as a release or a candidate was made from them.
"""

import sys

from rapport.pipeline.compaction import CompactConfig, compact_lake
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(CompactConfig, compact_lake, file=__file__))
