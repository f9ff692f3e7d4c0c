"""Tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPED_WIDTH = 120
"""Columns where nobody's terminal sets them: names must not be cut in a log file."""


def console() -> Console:
    """The terminal, or a page of fixed width where the output goes to a file or a pipe."""
    found = Console()
    return found if found.is_terminal else Console(width=_PIPED_WIDTH)


def print_rows(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Print rows as a table; floats to four significant digits, the first column never cut."""
    if not rows:
        console().print("no rows")
        return
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(rows[0]):
        table.add_column(name, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell(value)) for value in row.values()))
    console().print(table)


def cell(value: object) -> str:
    """One cell's text."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_ingested(result: Mapping[str, Any]) -> None:
    """Account for every row that came in."""
    tables = [{"table": name, **counts} for name, counts in result["tables"].items()]
    print_rows(tables, title="Ingested: read = kept + duplicate + quarantined")
    if result.get("dialogues"):
        print_rows([result["dialogues"]], title="Dialogues and ratings")
    if result.get("left_out"):
        rows = [{"left out, no chat": kind, "records": n} for kind, n in result["left_out"].items()]
        print_rows(rows, title="Left out")
    if result.get("reasons"):
        rows = [{"reason": reason, "rows": n} for reason, n in result["reasons"].items()]
        print_rows(rows, title="Quarantined")
    if result.get("note"):
        console().print(f"Note: {result['note']}", highlight=False)
