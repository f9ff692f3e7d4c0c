"""The card's own tables: questions, scenarios, and what a reply does by its words."""

from functools import cache
from importlib import resources
from typing import Any

import yaml

from rapport.governance.phrases import Rule, met, plain, rules

CONDUCT = "conduct.yaml"


@cache
def table(file: str) -> dict[str, Any]:
    """Read a shipped table of `rapport.card`; callers must not change it."""
    text = resources.files("rapport.card").joinpath(file).read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


@cache
def conduct(kind: str) -> tuple[Rule, ...]:
    """Rules of one kind from the table of conduct."""
    data = table(CONDUCT)
    return rules(data[kind], macros=data["macros"])


def does(reply: str, kind: str) -> str | None:
    """Name of the first rule of a kind that a reply meets and does not deny, or none."""
    return met(plain(reply), conduct(kind))
