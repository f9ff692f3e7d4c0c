"""The page: one file that needs no network, its plots and their numbers beside it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from rapport.progress import progress
from rapport.report import descent, gating, holdings, people, proof, rewarding, speaking, valuing
from rapport.report.blocks import Cell, Figure, Section, Table
from rapport.report.facts import Facts
from rapport.scratch import replaced

PAGE, PLOTS = "report.html", "plots"
_SHOWN_ROWS = 60
"""Longer tables of a plot's numbers are in its CSV only."""


def write_report(facts: Facts, out: Path) -> Path:
    """Write `report.html` and `plots/*.png` and `.csv`; a folder from before is replaced whole.

    Returns:
        The page.
    """
    sections = sections_of(facts)
    figures = [block for each in sections for block in each.blocks if isinstance(block, Figure)]
    with replaced(out) as fresh:
        (fresh / PLOTS).mkdir()
        for figure in figures:
            (fresh / PLOTS / f"{figure.name}.png").write_bytes(figure.png)
            figure.numbers.write_csv(fresh / PLOTS / f"{figure.name}.csv")
        (fresh / PAGE).write_text(_page(sections, facts), encoding="utf-8")
    return out / PAGE


def sections_of(facts: Facts) -> list[Section]:
    """The page's sections, in the order in which people ask."""
    asked: Sequence[Callable[[Facts], Section | None]] = (
        proof.prove,
        gating.planted,
        gating.judged,
        holdings.hold,
        people.persons,
        rewarding.rewards,
        people.moods,
        valuing.value,
        valuing.belief,
        speaking.replies,
        descent.lineage,
    )
    found = []
    with progress("sections of the report", len(asked)) as advance:
        for section in asked:
            found.append(section(facts))
            advance(1)
    return [section for section in found if section is not None]


def _page(sections: Sequence[Section], facts: Facts) -> str:
    environment = Environment(
        loader=PackageLoader("rapport.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= filters()
    made = datetime.now(UTC)
    serving = facts.release.name if facts.release else "none yet"
    return environment.get_template("page.html.j2").render(
        style=(Path(__file__).parent / "style.css").read_text(encoding="utf-8"),
        subtitle=f"Tenant {facts.tenant}, release {serving}, {made:%Y-%m-%d}",
        made=f"{made:%Y-%m-%d %H:%M} UTC",
        sections=sections,
    )


def filters() -> dict[str, Callable[..., object]]:
    """What the templates write numbers with."""
    return {"cell": _cell, "numbers": _numbers}


def _numbers(figure: Figure) -> Table | None:
    rows = figure.numbers
    if rows.height > _SHOWN_ROWS:
        return None
    return Table(f"Numbers of {figure.name}", rows.columns, rows.rows())


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else value
