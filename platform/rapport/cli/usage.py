"""The root of the commands: wrong use is one line, and rapport.toml says what flags leave out."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rapport.config import read_settings
from rapport.errors import RapportError, UsageError
from rapport.runner import tell

_SHARED = frozenset({"home", "tenant", "seed"})
"""Flags of many commands that are settings of the same name."""


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
        except RapportError as error:
            code = tell(error, who="rapport", as_json="--json" in words)
        if standalone_mode:
            sys.exit(code)
        return code

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Let rapport.toml say what a flag is where neither flag nor environment does."""
        if "--help" not in args and not extra.get("resilient_parsing"):
            extra["default_map"] = _defaults(self, read_settings())
        return super().make_context(info_name, args, parent, **extra)


def use_settings(context: typer.Context, file: Path | None) -> Path | None:
    """Take a settings file that is named on the command line in place of rapport.toml."""
    if file is not None and not context.resilient_parsing:
        context.default_map = _defaults(context.command, read_settings(file))
    return file


SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=use_settings,
        help="Settings file in place of rapport.toml, TOML or YAML.",
    ),
]


def _defaults(command: Any, settings: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """What settings say of a command's flags, and of those of the commands under it."""
    inner = getattr(command, "commands", {})
    shared = _SHARED & settings.keys() & {each.name for each in command.params}
    below = {name: _defaults(each, settings) for name, each in inner.items()}
    return {**{name: settings[name] for name in shared}, **below}


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
