"""How a reply should sound: a setting that people choose, never drawn and never learned from."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

_Words = Annotated[str, StringConstraints(pattern=r"^[\w ,'-]+$", min_length=1, max_length=40)]


class Style(BaseModel):
    """Tone, length and language of replies; what is left out is as it comes."""

    model_config = ConfigDict(extra="forbid")

    tone: _Words | None = None
    """A word or two, such as `warm` or `matter of fact`."""
    length: Literal["short", "medium", "long"] | None = None
    language: _Words | None = None
    """Name or BCP 47 tag."""


def settled(asked: Style, preferences: Mapping[str, str]) -> dict[str, str]:
    """Put what a request asks for over what is on file of the user.

    Preferences that are no style, or none that could be asked for, are left out.
    """
    found = dict(asked.model_dump(exclude_none=True))
    for name in Style.model_fields:
        if name not in found and name in preferences:
            kept = _valid(name, preferences[name])
            found |= {name: kept} if kept else {}
    return found


def sentence(style: Mapping[str, str]) -> str | None:
    """Say a style to a model, in the order of `Style`; none where nothing is set."""
    said = [f"{name.capitalize()}: {style[name]}." for name in Style.model_fields if name in style]
    return " ".join(said) or None


def _valid(name: str, value: str) -> str | None:
    try:
        Style.model_validate({name: value})
    except ValueError:
        return None
    return value
