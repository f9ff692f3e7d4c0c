"""What each job was told and read, kept for the release its work becomes a part of."""

from collections.abc import Mapping
from typing import Any

from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import Lake
from rapport.models import model_id, pull
from rapport.pipeline.job import code_version
from rapport.release import JobRecord
from rapport.schema import EVENT_TABLES
from rapport.scratch import replace_text

MADE_BY = (
    "embed_users",
    "train_scorers",
    "segment_personas",
    "train_adapters",
    "train_policy",
    "evaluate_release",
)
"""Jobs whose work a release consists of, or rests on, in their order."""
READ = (*EVENT_TABLES, "turn_embeddings")
"""Tables a rebuild reads as they were; the other derived ones it computes again."""


def keep_record(
    home: Home,
    lake: Lake,
    job: str,
    config: JobConfig,
    found: Mapping[str, Any] | None = None,
) -> None:
    """Keep a job's record in the home's work folder, replacing that of its last run."""
    record = JobRecord(
        settings=config.model_dump(
            mode="json", exclude={"home": True, "smoke": True, "lake": {"base", "versions"}}
        ),
        found=found or {},
        table_versions={table: lake.version(table) for table in READ},
        models={uri: model_id(pull(uri)) for uri in (config.encoder, config.language_model)},
        code_version=code_version(),
    )
    folder = home.work / "records"
    folder.mkdir(exist_ok=True)
    replace_text(folder / f"{job}.json", record.model_dump_json(indent=1) + "\n")


def records_of(home: Home) -> dict[str, JobRecord]:
    """Records of the jobs that have run in a home, in their order."""
    paths = {job: home.work / "records" / f"{job}.json" for job in MADE_BY}
    return {
        job: JobRecord.model_validate_json(path.read_text(encoding="utf-8"))
        for job, path in paths.items()
        if path.exists()
    }
