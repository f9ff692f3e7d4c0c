"""`rapport release`: list, show, verify, promote, roll back."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.cli.printing import print_rows
from rapport.errors import UnknownNameError
from rapport.home import Home
from rapport.release import (
    Manifest,
    current,
    find,
    list_releases,
    promote,
    read_manifest,
    rollback,
    verify,
)
from rapport.runner import show

release_app = typer.Typer(help="Releases and their verdicts.", no_args_is_help=True)

IdArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="Id or alias; default the one that serves.")
]


@release_app.command("list", epilog="Example: rapport release list")
@plainly
def list_(home: HomeOption = DEFAULT_HOME, json_: JsonOption = False) -> None:
    """List published releases, oldest first."""
    rows: list[dict[str, Any]] = []
    for one in list_releases(Home(home).releases):
        made = one.manifest
        promoted = (made.verdict or {}).get("promoted") if made else None
        rows.append(
            {
                "release": one.release_id,
                "alias": made.alias if made else one.fault,
                "created": made.created.isoformat(timespec="seconds") if made else None,
                "gate": "-" if promoted is None else "promoted" if promoted else "refused",
                "serves": one.is_current,
            }
        )
    if json_:
        show({"releases": rows}, as_json=True)
    else:
        print_rows(rows)


@release_app.command("show", epilog="Example: rapport release show calm-otter-12")
@plainly
def show_(
    name: IdArgument = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Print the commands that train it again.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", help="Home of the rebuilt release; default beside.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Show a release's manifest: lineage, metrics and the gate's verdict."""
    opened = Home(home)
    found = read_manifest(_folder(opened, name))
    if rebuild:
        _show_rebuild(opened, found, into=into, as_json=json_)
        return
    manifest = found.model_dump(mode="json")
    verdict = manifest.pop("verdict") or {}
    if json_:
        show({**manifest, "verdict": verdict}, as_json=True)
        return
    jobs = ", ".join(manifest.pop("jobs")) or "not recorded"
    files = f"{len(manifest['files'])} files"
    show({**manifest, "jobs": jobs, "files": files}, as_json=False)
    if verdict:
        words = "promoted" if verdict["promoted"] else "refused: " + "; ".join(verdict["reasons"])
        print_rows(verdict["rows"], title=f"The gate: {words}")


@release_app.command("verify", epilog="Example: rapport release verify")
@plainly
def verify_(
    name: IdArgument = None, home: HomeOption = DEFAULT_HOME, json_: JsonOption = False
) -> None:
    """Recompute every hash of a release; exit code 1 when one does not hold."""
    folder = _folder(Home(home), name)
    manifest = verify(folder)
    show({"release": folder.name, "files": len(manifest.files), "holds": True}, as_json=json_)


@release_app.command("promote", epilog="Example: rapport release promote calm-otter-12")
@plainly
def promote_(
    name: Annotated[str, typer.Argument(metavar="ID")],
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Let a published release serve, after verifying it."""
    show({"serves": promote(Home(home).releases, name).name}, as_json=json_)


@release_app.command("rollback", epilog="Example: rapport release rollback")
@plainly
def rollback_(home: HomeOption = DEFAULT_HOME, json_: JsonOption = False) -> None:
    """Let the release serve that served before."""
    show({"serves": rollback(Home(home).releases).name}, as_json=json_)


def _show_rebuild(home: Home, manifest: Manifest, *, into: Path | None, as_json: bool) -> None:
    from rapport.pipeline.rebuilding import rebuild_commands

    beside = home.root.with_name(f"{home.root.name}-rebuilt-{manifest.release_id}")
    commands = rebuild_commands(home, manifest, into=(into or beside).absolute())
    if as_json:
        show({"commands": commands}, as_json=True)
    else:
        sys.stdout.write("\n".join(commands) + "\n")


def _folder(home: Home, name: str | None) -> Path:
    if name:
        return find(home.releases, name)
    serving = current(home.releases)
    if serving is None:
        raise UnknownNameError(
            "release", "CURRENT", [o.release_id for o in list_releases(home.releases)]
        )
    return serving
