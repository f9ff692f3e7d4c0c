"""`rapport release`: list, show, verify, promote, roll back."""

from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.home import Home
from rapport.runner import show

release_app = typer.Typer(help="Releases and their verdicts.", no_args_is_help=True)

IdArgument = Annotated[str | None, typer.Argument(metavar="[ID]", help="Default: CURRENT.")]
