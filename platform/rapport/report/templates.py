"""Templates of pages, and how they write numbers."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from rapport.report.blocks import Cell, Figure, Table

_SHOWN_ROWS = 60
"""Longer tables of a plot's numbers are in its CSV only."""


def template(name: str) -> Template:
    """A template of this folder."""
    environment = Environment(
        loader=PackageLoader("rapport.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"cell": _cell, "numbers": _numbers}
    return environment.get_template(name)


def styles(*names: str) -> str:
    """Style sheets of this folder, in one."""
    here = Path(__file__).parent
    return "\n".join((here / name).read_text(encoding="utf-8") for name in names)


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
