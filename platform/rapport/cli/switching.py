"""`rapport release disable|enable arm|persona|adapter NAME`: the kill switches."""

import getpass
import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.errors import UnknownNameError
from rapport.home import Home
from rapport.runner import show


class Kind(StrEnum):
    """What can be switched off."""

    ARM = "arm"
    PERSONA = "persona"
    ADAPTER = "adapter"


KindArgument = Annotated[Kind, typer.Argument(metavar="KIND", help="arm, persona or adapter")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of one such thing.")]


@plainly
def disable(
    kind: KindArgument,
    name: NameArgument,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Switch an arm, a persona or an adapter off: every gateway obeys within 5 s.

    An arm is drawn no more; a persona's users are taken for the next likeliest; an adapter's are
    answered by the global one. It survives restarts and new releases, and who did it is kept.
    """
    opened = opened_home(home)
    known = sorted({*_known(opened, kind)})
    if name not in known:
        raise UnknownNameError(kind, name, known)
    _turn(opened, kind, name, off=True, as_json=json_)


@plainly
def enable(
    kind: KindArgument,
    name: NameArgument,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Switch on again what was switched off."""
    _turn(opened_home(home), kind, name, off=False, as_json=json_)


def _turn(home: Home, kind: Kind, name: str, *, off: bool, as_json: bool) -> None:
    from rapport.store import open_store

    store = open_store(home.store_url)
    try:
        now_off = sorted(other for what, other in store.switches.off() if what == kind)
        if not off and name not in now_off:
            raise UnknownNameError(f"{kind} that is off", name, now_off)
        store.switches.turn(kind.value, name, off=off, by=_who())
        left = sorted(f"{what} {other}" for what, other in store.switches.off())
    finally:
        store.close()
    show({kind.value: name, "off": off, "all that is off": left}, as_json=as_json)


def _known(home: Home, kind: Kind) -> Iterator[str]:
    """Names that such a thing has in any published release, or in the shipped menus."""
    if kind == Kind.ARM:
        from rapport.arms import arm_names

        yield from arm_names()
        return
    from rapport.release import list_releases

    for listed in list_releases(home.releases):
        folder = home.releases / listed.release_id
        if kind == Kind.ADAPTER:
            yield from (path.parent.name for path in folder.glob("adapters/*/adapter_config.json"))
        else:
            yield from _personas(folder / "policy" / "policy.json")


def _personas(policy: Path) -> Iterator[str]:
    if policy.exists():
        yield from json.loads(policy.read_text(encoding="utf-8"))["layout"]["personas"]


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
