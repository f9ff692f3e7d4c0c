"""Options that every command shares, and how an error becomes a message and an exit code."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from rapport.config import HomeConfig, resolve
from rapport.errors import RapportError, StoppedError
from rapport.home import Home, home_of
from rapport.runner import of_machine, tell

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
TenantOption = Annotated[str, typer.Option("--tenant", envvar="RAPPORT_TENANT", help="Whose rows.")]
AddressOption = Annotated[str | None, typer.Option("--address", help="Ray cluster to run on.")]
SeedOption = Annotated[
    int, typer.Option("--seed", envvar="RAPPORT_SEED", help="Seeds every random choice.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if nothing changed.")]
DEFAULT_HOME = Path(".rapport")


def opened_home(home: Path) -> Home:
    """Open a home with the store that RAPPORT_STORE names, for commands that look into it."""
    return home_of(resolve(HomeConfig, flags={"home": home}))


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """End a command with one message and an exit code instead of a traceback.

    With `--json` the message is `{"error": {message, type, code, param}}` on stdout.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()  # a reader that is gone shows here, not when Python ends
        except BrokenPipeError as error:
            _to_nowhere()
            raise typer.Exit(1) from error
        except RapportError as error:
            ending = error
        except (OSError, MemoryError) as error:
            lacking = of_machine(error)
            if lacking is None:
                raise
            ending = lacking
        except KeyboardInterrupt:
            ending = StoppedError(signal.SIGINT)
        else:
            return result
        raise typer.Exit(tell(ending, who="rapport", as_json=bool(kwargs.get("json_"))))

    return wrapped


def _to_nowhere() -> None:
    """Send what is still to be printed where nobody needs to read it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
