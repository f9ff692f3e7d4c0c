"""Users to personas: groups that differ in how they write and react, named and described.

    python -m jobs.segment_personas --home .rapport --set k=null

k is chosen from the data where it is null. Next: train_adapters.
"""

import sys

from rapport.cluster.segments import segment_log
from rapport.pipeline.segments import SegmentConfig
from rapport.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job(SegmentConfig, segment_log, file=__file__))
