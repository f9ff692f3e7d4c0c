"""Users to personas: groups that differ in how they write and react, named and described.

    python -m jobs.segment_personas --home .rapport --set k=null

k is chosen from the data where it is null. Next: train_adapters.
"""

import sys

from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.pipeline.settings import SegmentConfig


def segment_personas(config: SegmentConfig) -> Result:
    """Find personas, assign everybody, and leave model and cards for the release."""
    from rapport.cluster import segments

    return segments.segment_log(config)


JOB = Job(
    config=SegmentConfig,
    call=segment_personas,
    reads=(
        "turns", "decisions", "feedback", "rewards", "turn_embeddings", "user_embeddings",
        "encoder", "scorers", "previous_personas",
    ),
    writes=("persona_assignments", "personas"),
    rows_per_s=15_000,
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
