"""Plots: one look in light and dark, every axis with its unit, the numbers beside."""

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.report.blocks import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT = "#010203", "#8a8f98"
"""`INK` is replaced by the page's own text colour; `FAINT` reads on white and on black."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f00", "#b15928")
"""Told apart by colour-blind eyes (Okabe & Ito, 2008), the last two beside."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDTH_IN = 5.6
_UNIT_CHARACTERS = 48
"""Of a line under an axis; a longer one would leave the figure."""
_TOLD_APART = ("label", "kind")
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: searchable, read aloud, in the page's own font
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Told:
    """What is said of a plot."""

    name: str
    caption: str
    alt: str


def drawn(
    told: Told, numbers: pl.DataFrame, draw: Callable[["Axes"], None], *, rows: float = 10
) -> Figure:
    """Draw a figure.

    Args:
        told: Its name and words.
        numbers: What it shows, kept beside it.
        draw: Draws on the axes.
        rows: Height, in rows of text.
    """
    with _canvas(told.name, rows) as (axes, figure):
        draw(axes)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(png, format="png", dpi=160, facecolor="white")
    return Figure(
        told.name, told.caption, told.alt, _inline(svg.getvalue()), png.getvalue(), numbers
    )


def estimates(
    told: Told,
    labels: Sequence[str],
    found: Sequence[tuple[float, float, float]],
    *,
    unit: str,
    marks: Sequence[float] = (0.0,),
) -> Figure:
    """Draw values with their intervals, one a line.

    Args:
        told: Name and words.
        labels: One a line, from the top.
        found: Value, low and high of each.
        unit: Of the axis.
        marks: Values drawn as upright lines.
    """
    value, low, high = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    place = np.arange(len(labels))[::-1]

    def draw(axes: "Axes") -> None:
        for mark in marks:
            axes.axvline(mark, color=FAINT, linewidth=1, linestyle="--")
        axes.hlines(place, low, high, color=COLOURS[0], linewidth=2)
        axes.plot(value, place, "o", color=COLOURS[0], markersize=5)
        axes.set_yticks(place, labels)
        axes.set_ylim(-0.7, len(labels) - 0.3)
        axes.set_xlabel(textwrap.fill(unit, _UNIT_CHARACTERS))
        axes.grid(axis="x")

    numbers = pl.DataFrame({"label": list(labels), "value": value, "low": low, "high": high})
    return drawn(told, numbers, draw, rows=len(labels) + 3)


def courses(
    told: Told, numbers: pl.DataFrame, *, group: str, x: str, axes: tuple[str, str]
) -> Figure:
    """Draw a line with its band for each group.

    Args:
        told: Name and words.
        numbers: Columns `group`, `x`, and `value`, `low`, `high`.
        group: Column that tells lines apart.
        x: Column along the axis.
        axes: Labels of both axes.
    """

    def draw(on: "Axes") -> None:
        for place, (name, rows) in enumerate(_groups(numbers, group)):
            colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
            at = rows[x].to_numpy()
            on.fill_between(at, rows["low"], rows["high"], color=colour, alpha=0.18, linewidth=0)
            on.plot(at, rows["value"], color=colour, marker=mark, markersize=4, label=name)
        on.set_xlabel(axes[0])
        on.set_ylabel(axes[1])
        on.grid()
        _legend(on)

    return drawn(told, numbers, draw, rows=13 + numbers[group].n_unique() / 2)


def compared(told: Told, numbers: pl.DataFrame, *, unit: str, mark: float = 0.0) -> Figure:
    """Draw values of several kinds with their intervals under each label.

    Args:
        told: Name and words.
        numbers: Columns `label`, `kind`, `value`, `low`, `high`; labels from the top, kinds in
            the order in which they come.
        unit: Of the axis.
        mark: Value drawn as an upright line.
    """
    labels, kinds = (numbers[each].unique(maintain_order=True).to_list() for each in _TOLD_APART)
    step = 0.7 / len(kinds)

    def draw(on: "Axes") -> None:
        on.axvline(mark, color=FAINT, linewidth=1, linestyle="--")
        for place, kind in enumerate(kinds):
            rows = numbers.filter(pl.col("kind") == kind)
            lower = (place - (len(kinds) - 1) / 2) * step
            at = [len(labels) - 1 - labels.index(each) - lower for each in rows["label"]]
            colour = COLOURS[place % len(COLOURS)]
            on.hlines(at, rows["low"], rows["high"], color=colour, linewidth=2)
            on.plot(rows["value"], at, MARKS[place % len(MARKS)], color=colour, ms=4, label=kind)
        on.set_yticks(np.arange(len(labels))[::-1], labels)
        on.set_xlabel(unit)
        on.grid(axis="x")
        _legend(on)

    return drawn(told, numbers, draw, rows=len(labels) * (len(kinds) + 1) * 0.7 + 4)


def places(told: Told, numbers: pl.DataFrame, *, group: str, axes: tuple[str, str]) -> Figure:
    """Draw points `x`, `y`, each group with its own colour and mark, and its name at its middle."""

    def draw(on: "Axes") -> None:
        for place, (name, rows) in enumerate(_groups(numbers, group)):
            colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
            x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
            on.scatter(x, y, s=9, color=colour, marker=mark, alpha=0.55, linewidths=0, label=name)
        on.set_xlabel(axes[0])
        on.set_ylabel(axes[1])
        _legend(on, markerscale=2)

    return drawn(told, numbers, draw, rows=20)


def calibration(told: Told, numbers: pl.DataFrame, *, unit: str) -> Figure:
    """Draw what came of what was expected: columns `expected`, `value`, `low`, `high`."""
    expected = numbers["expected"].to_numpy()
    ends = [min(expected.min(), numbers["low"].min()), max(expected.max(), numbers["high"].max())]

    def draw(on: "Axes") -> None:
        on.plot(ends, ends, color=FAINT, linestyle="--", linewidth=1)
        on.vlines(expected, numbers["low"], numbers["high"], color=COLOURS[0], linewidth=2)
        on.plot(expected, numbers["value"], "o", color=COLOURS[0], markersize=5)
        on.set_xlabel(f"expected, {unit}")
        on.set_ylabel(f"observed, {unit}")
        on.grid()

    return drawn(told, numbers, draw, rows=14)


def counts(told: Told, values: NDArray[np.float64], *, unit: str, edges: Sequence[float]) -> Figure:
    """Draw how many values fall between edges; the last bin holds all beyond."""
    held, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=np.asarray(edges))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]

    def draw(on: "Axes") -> None:
        on.bar(np.arange(len(held)), held, color=COLOURS[0], width=0.94, align="edge")
        on.set_xticks(np.arange(len(edges)), [f"{edge:g}" for edge in edges])
        on.set_xlabel(unit)
        on.set_ylabel("decisions")
        on.grid(axis="y")

    numbers = pl.DataFrame({"bin": names, "decisions": held})
    return drawn(told, numbers, draw, rows=11)


def _legend(on: "Axes", **look: Any) -> None:  # noqa: ANN401  (matplotlib's)
    """Names above the axes, which make room for however many there are."""
    on.figure.legend(loc="outside upper center", ncols=2, fontsize=8, **look)


def _groups(numbers: pl.DataFrame, column: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in numbers[column].unique().sort():
        yield str(name), numbers.filter(pl.col(column) == name)


@contextmanager
def _canvas(name: str, rows: float) -> Iterator[tuple["Axes", Any]]:
    # No window system: figures are made without pyplot, which would ask for one.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    settings: Any = {**_STYLE, "svg.hashsalt": name}  # typed by the names of all settings
    with rc_context(settings):
        figure = Canvas(figsize=(WIDTH_IN, 0.2 * rows + 0.6), layout="constrained")
        yield figure.subplots(), figure


def _inline(svg: str) -> str:
    """The picture without its file's head, in the page's colours and at the page's width."""
    body = svg[svg.index("<svg") :].replace(INK, "currentColor")
    head, end, rest = body.partition(">")
    kept = " ".join(part for part in head.split() if not part.startswith(("width=", "height=")))
    return f"{kept}{end}{rest}"
