"""What a command line that is no command is answered with: one line, as every other error."""

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from rapport.errors import UsageError
from rapport.runner import tell


class Commands(TyperGroup):
    """The root of the tree of commands."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run the command that `args` name, and end with its exit code."""
        words = sys.argv[1:] if args is None else list(args)
        try:
            code = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            code = _told(error, as_json="--json" in words)
        if standalone_mode:
            sys.exit(code)
        return code


def _told(error: typer.TyperException, *, as_json: bool) -> int:
    what = error.format_message().rstrip(".")
    if not what:  # a group named alone: its help is printed already
        return error.exit_code
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else "rapport"
    param = getattr(error, "param", None)
    setting = getattr(error, "option_name", None) or (param.opts[0] if param else None)
    said = UsageError(what[0].lower() + what[1:], f"see {command} --help", setting)
    return tell(said, who="rapport", as_json=as_json)
