"""`rapport keys`: make, list and revoke the keys of the HTTP API."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.cli.printing import print_rows
from rapport.errors import UnknownNameError
from rapport.governance.access import SCOPES, agents_of, fresh_key, granted, key_hash
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.store import Store
    from rapport.store.keys import ApiKey

keys_app = typer.Typer(
    help="Keys of the HTTP API; only their hashes are kept.",
    epilog="Example: rapport keys create --label shop",
    no_args_is_help=True,
)
_ID_DIGITS = 12
_SCOPES_HELP = "Repeatable. " + "; ".join(f"{name}: {told}" for name, told in SCOPES.items())


@keys_app.command(
    "create", epilog="Example: rapport keys create --label shop --scope serve --days 90"
)
@plainly
def create(
    scopes: Annotated[list[str] | None, typer.Option("--scope", help=_SCOPES_HELP)] = None,
    agents: Annotated[
        list[str] | None, typer.Option("--agent", help="Bind the key to an agent; repeatable.")
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose key it is.")] = "default",
    label: Annotated[str, typer.Option("--label", help="What it is for.")] = "",
    days: Annotated[
        float | None, typer.Option("--days", min=0.0001, help="Expires after so many.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Make a key and show it, once; without --scope it is an application's (`serve`)."""
    kept = granted(scopes or ["serve"], agents=agents or ())
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    key = fresh_key()
    store = _store(home)
    made = store.keys.add(key_hash(key), tenant=tenant, scopes=kept, label=label, expires=expires)
    store.close()
    show({"key": key, **_row(made)}, as_json=json_)


@keys_app.command("list", epilog="Example: rapport keys list --json")
@plainly
def list_(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of this one only.")] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """List keys, oldest first, by the beginning of their hashes."""
    store = _store(home)
    rows = [_row(key) for key in store.keys.all() if tenant in (None, key.tenant)]
    store.close()
    if json_:
        show({"keys": rows}, as_json=True)
    else:
        shown = [
            {**row, "scopes": ", ".join(row["scopes"]), "agents": ", ".join(row["agents"])}
            for row in rows
        ]
        print_rows(shown)


@keys_app.command("revoke", epilog="Example: rapport keys revoke 3f9a1c0d22e4")
@plainly
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Close a key for good; running gateways obey within 2 seconds."""
    store = _store(home)
    known = [key.key_hash for key in store.keys.all()]
    found = [one for one in known if len(key_id) >= 8 and one.startswith(key_id)]
    if len(found) != 1:
        raise UnknownNameError("key", key_id, [one[:_ID_DIGITS] for one in known])
    store.keys.revoke(found[0])
    revoked = next(key for key in store.keys.all() if key.key_hash == found[0])
    store.close()
    show(_row(revoked), as_json=json_)


def _store(home: Path) -> "Store":
    from rapport.store import open_store

    return open_store(opened_home(home).store_url)


def _row(key: "ApiKey") -> dict[str, Any]:
    bound = agents_of(key.scopes)
    state = "valid" if key.is_valid(datetime.now(UTC)) else "revoked" if key.revoked else "expired"
    return {
        "id": key.key_hash[:_ID_DIGITS],
        "tenant": key.tenant,
        "label": key.label,
        "scopes": sorted(scope for scope in key.scopes if scope in SCOPES),
        "agents": sorted(bound),
        "state": state,
        "created": key.created.isoformat(timespec="seconds"),
        "expires": key.expires.isoformat(timespec="seconds") if key.expires else None,
    }
