"""What a page is made of: sections of words, tables and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import polars as pl

Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table of finished cells; numbers stand right."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Figure:
    """A plot with the numbers it shows."""

    kind: ClassVar[str] = "figure"
    name: str
    """Its files' name without an ending, in lower-case letters and `_`."""
    caption: str
    """What is shown, in which unit, from how many."""
    alt: str
    """What one sees, for who does not see it."""
    svg: str
    png: bytes
    numbers: pl.DataFrame


@dataclass(frozen=True)
class Side:
    """One message answered in several ways."""

    kind: ClassVar[str] = "side"
    message: str
    replies: Mapping[str, str]
    """By who answered."""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A way to a page beside this one."""

    kind: ClassVar[str] = "link"
    words: str
    file: str
    """Name in the same folder."""


Block: TypeAlias = Table | Figure | Side | Link


@dataclass(frozen=True)
class Section:
    """A part of the page that answers one question."""

    title: str
    lead: Sequence[str]
    """Sentences that answer it; what follows is the evidence."""
    blocks: Sequence[Block] = ()

    @property
    def anchor(self) -> str:
        """Its place in the page's address."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


def signed(value: float | None, digits: int = 3) -> str:
    """A gain or reward with its sign, as `+0.031`; a dash for none."""
    return "-" if value is None else f"{value:+.{digits}f}"


def within(low: float | None, high: float | None) -> str:
    """An interval as `+0.01 to +0.05`; a dash for none."""
    return "-" if low is None or high is None else f"{signed(low)} to {signed(high)}"
