"""Measurements kept in a home, so that what takes minutes is done once for the same thing."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rapport.card.document import Section
from rapport.home import Home
from rapport.scratch import replace_text

_FOLDER = "measured"


def keep(home: Home, section: Section, *, about: str) -> Path:
    """Keep a section that was measured; replaces what was kept of the same name.

    Args:
        home: In whose work folder it lies.
        section: What was found; numbers and names alone.
        about: Names what was measured and how, see `about_of`; another finds nothing.
    """
    folder = home.work / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{section.name}.json"
    replace_text(path, json.dumps({"about": about, "section": section.model_dump()}) + "\n")
    return path


def kept(home: Home, name: str, *, about: str) -> Section | None:
    """The section of a name, where it was measured on the same thing in the same way."""
    path = home.work / _FOLDER / f"{name}.json"
    if not path.exists():
        return None
    try:
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = Section.model_validate(stated["section"])
    except (ValueError, KeyError, ValidationError):
        return None  # of an older layout: it is measured again
    return found if stated.get("about") == about else None


def about_of(**facts: object) -> str:
    """sha256 over all that a measurement depends on."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
