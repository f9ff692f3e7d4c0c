"""Other people's logs into the lake: what `rapport ingest` runs.

    python -m jobs.ingest_logs --home .rapport --set format=simulation --set 'paths=["log"]'

Good rows are kept, bad ones go to quarantine with file, position, field and reason; a second
ingest of the same changes nothing. Next: embed_users.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import Field

from rapport.config import JobConfig
from rapport.governance.tenants import load_tenants, policy_of
from rapport.home import Home
from rapport.ingest import ingest
from rapport.ingest.batch import CHUNK_ROWS
from rapport.lake import lake_of
from rapport.runner import run_job


class IngestConfig(JobConfig):
    """What to read."""

    format: str
    """A name in `rapport.ingest.FORMATS`."""
    paths: tuple[str, ...]
    """Files, folders, globs or object-store URIs."""
    purposes: tuple[str, ...] | None = None
    """What the users agreed to; none takes the tenant's default."""
    chunk_rows: int = Field(default=CHUNK_ROWS, ge=1)
    """Rows held at once; a log of any length needs the memory of one chunk."""
    mapping: Path | None = None
    """YAML file `our field: their column`; none for a log that has our names."""


def ingest_logs(config: IngestConfig) -> dict[str, Any]:
    """Ingest and account for every row."""
    home = Home(config.home)
    counts = ingest(
        config.format,
        config.paths,
        lake=lake_of(config),
        secret=home.secret(),
        policy=policy_of(load_tenants(home.tenants), config.tenant),
        tenant=config.tenant,
        purposes=config.purposes,
        chunk_rows=config.chunk_rows,
        mapping=config.mapping,
    )
    return counts.as_dict()


if __name__ == "__main__":
    sys.exit(run_job(IngestConfig, ingest_logs, file=__file__))
