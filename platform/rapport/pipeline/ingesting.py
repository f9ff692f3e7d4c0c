"""The stage `ingest_logs`: other people's logs into the lake."""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rapport.errors import ConfigError
from rapport.governance.tenants import TenantPolicy, load_tenants, policy_of
from rapport.home import Home
from rapport.ingest import FORMATS, Counts, ingest
from rapport.lake import Lake, lake_of
from rapport.pipeline.settings import IngestConfig
from rapport.schema import PURPOSES, SCHEMAS
from rapport.scratch import scratch_folder

SHOWN_ROWS = 10
_SHOWN = ("conversation_id", "turn_index", "user_id", "role", "kind", "ts", "ts_source", "text")


def ingest_logs(config: IngestConfig) -> dict[str, Any]:
    """Ingest and account for every row.

    Raises:
        ConfigError: Nothing of the input could be read; what it holds lies in quarantine.
    """
    home = Home(config.home)
    found = ingested(config, lake_of(config), secret=home.secret())
    if found.get("unread"):
        reasons = ", ".join(f"{reason} ({n})" for reason, n in [*found["reasons"].items()][:3])
        raise ConfigError("paths", _shown(config.paths), f"{found['note']}; quarantined: {reasons}")
    return found


def preview_logs(config: IngestConfig) -> dict[str, Any]:
    """Show what an ingest would do: its counts, and the first turns as they were mapped.

    Reads everything into a temporary lake; home and lake stay as they are, so rows that the lake
    holds already do not count as duplicates.
    """
    with scratch_folder(Path(tempfile.gettempdir()), "rapport-preview-") as folder:
        lake = Lake(folder / "lake")
        found = ingested(config, lake, secret=secrets.token_bytes(32))
        purpose = (config.purposes or ("serve",))[0]
        rows = lake.scan("turns", purpose=purpose).select(_SHOWN).head(SHOWN_ROWS).collect()
    return {**found, "turns": rows.to_dicts()}


def ingested(config: IngestConfig, lake: Lake, *, secret: bytes) -> dict[str, Any]:
    """Ingest into a lake, with users hashed by this secret; returns the counts and a note."""
    policy = policy_of(load_tenants(Home(config.home, make=False).tenants), config.tenant)
    counts = ingest(
        config.format,
        config.paths,
        lake=lake,
        secret=secret,
        policy=policy,
        tenant=config.tenant,
        purposes=config.purposes,
        mapping=config.mapping,
        chunk_rows=config.chunk_rows,
    )
    return {**counts.as_dict(), **_withheld(config, policy), **_unread(counts)}


def _shown(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _unread(counts: Counts) -> dict[str, str | bool]:
    """What to say of an input of which nothing could be read."""
    tables = [tally for name, tally in counts.tables.items() if name in SCHEMAS]
    if not counts.quarantine.read or any(tally.kept + tally.duplicate for tally in tables):
        return {}
    others = ", ".join(sorted(set(FORMATS) - {counts.format}))
    return {
        "unread": True,
        "note": f"nothing of it could be read as {counts.format}; if it is of another format, name "
        f"that: {others}; if its fields have other names, give a --mapping",
    }


def _withheld(config: IngestConfig, policy: TenantPolicy) -> dict[str, str]:
    """What rows of users without a stated age may not be used for, though it was asked for."""
    wanted = PURPOSES if config.purposes is None else config.purposes
    allowed = policy.purposes_for(config.purposes)
    if "analytics" not in wanted or "analytics" in allowed:
        return {}
    file = Home(config.home, make=False).tenants
    return {
        "note": (
            f"users of tenant {config.tenant!r} without a stated age count as protected: their "
            f"rows are kept for {', '.join(allowed) or 'nothing'} alone and no query or job reads "
            f"them; if they are adults, set default_age_band: adult in {file}"
        )
    }
