"""Options that every command shares, and how an error of ours becomes an exit code."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from rapport.config import HomeConfig, resolve
from rapport.errors import RapportError
from rapport.home import Home, home_of

P = ParamSpec("P")
R = TypeVar("R")

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="RAPPORT_HOME", help="Folder of this installation.")
]
LakeOption = Annotated[
    str | None,
    typer.Option("--lake", metavar="URI", help="Folder or s3://... URI; default: the home's."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seeds every random choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if nothing changed.")]
DEFAULT_HOME = Path(".rapport")


def opened_home(home: Path) -> Home:
    """Open a home with the store that RAPPORT_STORE names, for commands that look into it."""
    return home_of(resolve(HomeConfig, flags={"home": home}))


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """End a command with our error's message and exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except RapportError as error:
            sys.stderr.write(f"rapport: {error}\n")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            sys.stderr.write("rapport: interrupted\n")
            raise typer.Exit(130) from error

    return wrapped
