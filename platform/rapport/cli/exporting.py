"""`rapport log export`: the log of decisions in formats of others.

Beside `rapport ingest`, not `rapport export`: that one is a user's right to a copy of his own data.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.errors import ConfigError, UnknownNameError
from rapport.home import Home
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.exports.rows import Decisions

log_app = typer.Typer(
    help="The log of decisions, for tools of others.",
    epilog="Example: rapport log export vw-dsjson --out log.dsjson",
    no_args_is_help=True,
)
FORMATS = ("vw-dsjson", "obd", "rllib")


@log_app.callback()
def _log() -> None:
    """The log of decisions, for tools of others."""


@log_app.command(epilog="Example: rapport log export obd --out log.parquet")
@plainly
def export(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help=", ".join(FORMATS))],
    out: Annotated[Path, typer.Option("--out", help="File to write; must be new.")],
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Write the decisions that may be learned from, with exact propensities and their rewards.

    vw-dsjson is text, a decision a line; obd and rllib are Parquet. Decisions that were not
    delivered in full, or whose propensity was estimated, are left out and counted; so are silent
    ones but from vw-dsjson. No text is written and no user's own id, but features may tell of moods
    and personas.
    """
    from rapport.exports.rows import Decisions
    from rapport.lake import Lake
    from rapport.scratch import scratch_folder, sync

    write = _writer(format_)
    if out.exists():
        raise ConfigError("--out", str(out), "it is there already; name a new file")
    if not out.parent.is_dir():
        raise ConfigError("--out", str(out), "its folder is not there; make it, or name another")
    decisions = Decisions(Lake(Home(home, make=False).lake), tenant)
    with scratch_folder(out.parent, f".{out.name}.") as folder:
        fresh = folder / out.name
        counts = write(decisions, fresh)
        sync(fresh)
        fresh.rename(out)
    sync(out.parent)
    show({"file": str(out), **counts}, as_json=json_)


def _writer(format_: str) -> "Callable[[Decisions, Path], dict[str, Any]]":
    if format_ == "vw-dsjson":
        from rapport.exports.dsjson import write_dsjson

        return write_dsjson
    if format_ == "obd":
        from rapport.exports.open_bandit import write_open_bandit

        return write_open_bandit
    if format_ == "rllib":
        from rapport.exports.rllib import write_rllib

        return write_rllib
    raise UnknownNameError("format", format_, FORMATS)
