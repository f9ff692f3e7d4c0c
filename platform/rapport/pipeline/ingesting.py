"""The stage `ingest_logs`: other people's logs into the lake."""

from typing import Any

from rapport.governance.tenants import TenantPolicy, load_tenants, policy_of
from rapport.home import Home
from rapport.ingest import ingest
from rapport.lake import lake_of
from rapport.pipeline.settings import IngestConfig
from rapport.schema import PURPOSES


def ingest_logs(config: IngestConfig) -> dict[str, Any]:
    """Ingest and account for every row."""
    home = Home(config.home)
    policy = policy_of(load_tenants(home.tenants), config.tenant)
    counts = ingest(
        config.format,
        config.paths,
        lake=lake_of(config),
        secret=home.secret(),
        policy=policy,
        tenant=config.tenant,
        purposes=config.purposes,
        mapping=config.mapping,
        chunk_rows=config.chunk_rows,
    )
    return {**counts.as_dict(), **_withheld(config, policy)}


def _withheld(config: IngestConfig, policy: TenantPolicy) -> dict[str, str]:
    """What rows of users without a stated age may not be used for, though it was asked for."""
    wanted = PURPOSES if config.purposes is None else config.purposes
    allowed = policy.purposes_for(config.purposes)
    if "analytics" not in wanted or "analytics" in allowed:
        return {}
    return {
        "note": (
            f"users of tenant {config.tenant!r} without a stated age count as protected: their "
            f"rows are kept for {', '.join(allowed) or 'nothing'} alone and no query or job reads "
            f"them; if they are adults, set default_age_band: adult in {Home(config.home).tenants}"
        )
    }
