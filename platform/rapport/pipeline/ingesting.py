"""The stage `ingest_logs`: other people's logs into the lake."""

from typing import Any

from rapport.governance.tenants import load_tenants, policy_of
from rapport.home import Home
from rapport.ingest import ingest
from rapport.lake import lake_of
from rapport.pipeline.settings import IngestConfig


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
        mapping=config.mapping,
        chunk_rows=config.chunk_rows,
    )
    return counts.as_dict()
