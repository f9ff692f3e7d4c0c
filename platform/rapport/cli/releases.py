"""`rapport release`: list, show, verify, promote, roll back, switch things off and on."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.canaries import canary
from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.cli.printing import print_rows
from rapport.cli.switching import disable, enable
from rapport.cli.verdicts import print_verdict
from rapport.errors import ConfigError, GateRefusedError
from rapport.home import Home
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.release import Manifest

release_app = typer.Typer(
    help="Releases and their verdicts.",
    epilog="Example: rapport release list",
    no_args_is_help=True,
)
release_app.command(epilog="Example: rapport release disable arm suggestion")(disable)
release_app.command(epilog="Example: rapport release enable arm suggestion")(enable)

release_app.command(epilog="Example: rapport release canary calm-otter-12 --share 0.1")(canary)

IdArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="Id or alias; default the one that serves.")
]


@release_app.command("list", epilog="Example: rapport release list")
@plainly
def list_(home: HomeOption = DEFAULT_HOME, json_: JsonOption = False) -> None:
    """List published releases, oldest first."""
    from rapport.release import list_releases

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
    """Show a release's manifest: lineage, metrics and the gate's verdict.

    `not_retrainable` names the tables whose versions it was made from are gone; `calibration` says
    how the nlp scores kept their word on users their models did not learn from.
    """
    from rapport.release import read_manifest

    opened = Home(home)
    folder = _folder(opened, name)
    # Seconds of imports, which a name that is none does not wait for.
    from rapport.lake import Lake
    from rapport.pipeline.calibrations import calibrations
    from rapport.pipeline.versions import not_retrainable

    found = read_manifest(folder)
    if rebuild:
        _show_rebuild(opened, found, into=into, as_json=json_)
        return
    manifest = found.model_dump(mode="json")
    gone = not_retrainable(Lake(opened.lake)).get(found.release_id)
    if gone:
        manifest["not_retrainable"] = gone
    verdict, curves = manifest.pop("verdict") or {}, calibrations(folder)
    if json_:
        show({**manifest, "verdict": verdict, "calibration": curves}, as_json=True)
        return
    jobs = ", ".join(manifest.pop("jobs")) or "not recorded"
    files = f"{len(manifest['files'])} files"
    if verdict:  # the table below tells them
        del manifest["metrics"]
    show({**manifest, "jobs": jobs, "files": files}, as_json=False)
    if verdict:  # it was published since: what was to be done next is done
        print_verdict({**verdict, "next": None}, title="The gate on its policy")
    for what, curve in curves.items():
        print_rows(curve["bins"], title=f"nlp, {what}: error {curve['error']:.3f}")


@release_app.command("verify", epilog="Example: rapport release verify")
@plainly
def verify_(
    name: IdArgument = None, home: HomeOption = DEFAULT_HOME, json_: JsonOption = False
) -> None:
    """Recompute every hash of a release; exit code 1 when one does not hold."""
    from rapport.release import verify

    folder = _folder(Home(home), name)
    manifest = verify(folder)
    show({"release": folder.name, "files": len(manifest.files), "holds": True}, as_json=json_)


@release_app.command("promote", epilog="Example: rapport release promote calm-otter-12 --dry-run")
@plainly
def promote_(
    name: Annotated[str, typer.Argument(metavar="ID", help="A release, or a judged candidate.")],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check everything, say what would happen, change "
            "nothing; the exit code is that of the real thing.",
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Let a release serve, after verifying it; exit code 3 where the gate said no.

    Of a candidate whose policy was refused the rest is published, with the incumbent's policy.
    """
    from rapport.lake import Lake
    from rapport.pipeline.promotion import promote_named

    opened = opened_home(home)
    verdict = _verdict(opened, name)
    result = promote_named(opened, Lake(opened.lake), name, dry_run=dry_run)
    if verdict and not json_:
        print_verdict(verdict, title="The gate on its policy")
    show(result, as_json=json_)
    if result["refused"]:
        raise typer.Exit(GateRefusedError.exit_code)


@release_app.command("rollback", epilog="Example: rapport release rollback")
@plainly
def rollback_(home: HomeOption = DEFAULT_HOME, json_: JsonOption = False) -> None:
    """Let the release serve that served before, after verifying it."""
    from rapport.pipeline.promotion import roll_back

    show(roll_back(Home(home)), as_json=json_)


def _verdict(home: Home, name: str) -> dict[str, Any] | None:
    """The verdict on a candidate or a release, where there is one."""
    from rapport.pipeline.ports import newest_candidate
    from rapport.release import find
    from rapport.release_manifest import VERDICT

    folder = newest_candidate(home, name) or find(home.releases, name)
    path = folder / VERDICT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _show_rebuild(home: Home, manifest: "Manifest", *, into: Path | None, as_json: bool) -> None:
    from rapport.pipeline.rebuilding import rebuild_commands

    beside = home.root.with_name(f"{home.root.name}-rebuilt-{manifest.release_id}")
    commands = rebuild_commands(home, manifest, into=(into or beside).absolute())
    if as_json:
        show({"commands": commands}, as_json=True)
    else:
        sys.stdout.write("\n".join(commands) + "\n")


def _folder(home: Home, name: str | None) -> Path:
    from rapport.release import current, find

    if name:
        return find(home.releases, name)
    serving = current(home.releases)
    if serving is None:
        remedy = "none serves yet: rapport run makes one, rapport release list shows what there is"
        raise ConfigError("release", "CURRENT", remedy)
    return serving
