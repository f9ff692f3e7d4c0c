"""Tables of phrases: short patterns in YAML, one a line, compiled to one expression a rule."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

_DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bif|\bwhether|\bno)(?: (?!it's|that's)[\w']+){0,3} ?$")


class Rule(NamedTuple):
    """Phrases that mean one thing."""

    name: str
    pattern: re.Pattern[str]
    deniable: bool
    """A "not" or "never" just before the phrase takes it back."""


@cache
def table(file: str) -> dict[str, Any]:
    """Read a shipped table of `rapport.governance`; callers must not change it."""
    import yaml  # noqa: PLC0415  (only a first use reads a table)

    text = (resources.files("rapport.governance") / file).read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def compiled(patterns: str, *, macros: Mapping[str, str]) -> re.Pattern[str]:
    """One expression for lines of patterns; whole words; `{name}` stands for a macro."""
    text = "|".join(patterns.split("\n")).strip("|")
    for name, macro in macros.items():
        text = text.replace("{" + name + "}", macro)
    return re.compile(rf"(?<!\w)(?:{text})(?!\w)")


def rules(entries: Sequence[Mapping[str, Any]], *, macros: Mapping[str, str]) -> tuple[Rule, ...]:
    """Compile the rules of a table: `name`, `patterns`, and `deniable`, true unless said."""
    return tuple(
        Rule(entry["name"], compiled(entry["patterns"], macros=macros), entry.get("deniable", True))
        for entry in entries
    )


def met(spoken: str, found: Sequence[Rule]) -> str | None:
    """Name of the first rule that a text in `plain` words meets and does not deny, or none."""
    for rule in found:
        for match in rule.pattern.finditer(spoken):
            if not _DENIED.search(spoken[: match.start()]):
                return rule.name
    return None


def plain(text: str) -> str:
    """Lower case, straight quotes, single spaces, apostrophes where they are often left out."""
    short = " ".join(text.lower().replace("\u2019", "'").split())
    short = re.sub(r"\b(do|did|does|wo|ca|is|was|would|could|have)nt\b", r"\1n't", short)
    return re.sub(r"\b(i)(m|ve)\b", r"\1'\2", short)
