"""Adapters that a candidate's card refuses, and the release that is left without them."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from rapport.errors import BrokenReleaseError, ConfigError
from rapport.language.adapters import find_adapters
from rapport.language.library import Library
from rapport.language.training import SHARED
from rapport.pipeline.finishing import DISCRIMINATOR_FILE
from rapport.release_manifest import CARD


def refused_adapters(folder: Path) -> dict[str, list[str]]:
    """Adapters of a candidate that its card refuses, with the reasons; none without a card.

    Raises:
        ConfigError: The card is about another candidate.
        BrokenReleaseError: It cannot be read.
    """
    path = folder / CARD
    if not path.exists():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        about, adapters = card["candidate"], card["adapters"]
        found = {
            name: list(each["reasons"]) for name, each in adapters.items() if not each["passed"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenReleaseError(folder.name, CARD, "it cannot be read") from error
    if about != folder.name:
        remedy = "its card is about another; judge it: rapport run evaluate_release"
        raise ConfigError("candidate", folder.name, remedy)
    return {name: found[name] for name in find_adapters(folder / "adapters") if name in found}


def told(refused: Mapping[str, Iterable[str]]) -> list[str]:
    """What was refused, why, and who answers instead; a line each."""
    instead = "the base model answers" if SHARED in refused else "the shared adapter answers"
    lines = []
    for name, reasons in refused.items():
        who = "approved replies answer" if name == SHARED else f"{instead} for it"
        lines.append(f"adapter {name}: {'; '.join(reasons)}; {who}")
    return lines


def without(folder: Path, refused: Iterable[str]) -> None:
    """Take adapters out of a copy of a candidate's `adapters` folder.

    Whom a persona's adapter answered is answered by the shared one, as in serving. Without the
    shared one nothing says that the model shows any kind of reply, so the approved library answers
    them all, and the model of which reply fits goes: it reads with the shared adapter.
    """
    for name in refused:
        shutil.rmtree(folder / name)
        if name == SHARED:
            Library({}).save(folder)
            (folder / DISCRIMINATOR_FILE).unlink(missing_ok=True)
