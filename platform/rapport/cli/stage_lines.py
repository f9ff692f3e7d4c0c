"""One line a stage, as `rapport run` and `rapport demo` print them."""

from collections.abc import Mapping
from typing import Any

from rapport.cli import printing

_SIZES = (
    "turns", "replies", "labelled", "decisions", "feedback", "users", "encoded", "rewards", "k",
    "tokens", "n",
)  # fmt: skip

Row = dict[str, Any]
console = printing.console()


def stage_row(label: str, seconds: float, result: Mapping[str, Any]) -> Row:
    """One line of the stage table: time, runner, sizes, and whether a budget cut it short."""
    sizes = {key: result[key] for key in _SIZES if isinstance(result.get(key), int)}
    return {
        "stage": label,
        "seconds": round(seconds, 1),
        "runner": "unchanged" if result.get("unchanged") else result.get("runner", "one process"),
        "sizes": ", ".join(f"{key} {value:,}" for key, value in sizes.items()),
        "stopped by": result.get("stopped_by") or "",
    }


def stage_done(row: Row) -> None:
    """Say that a stage ended, or had nothing to do."""
    idle = row.get("reused") or row["runner"] == "unchanged"
    mark = "[cyan]=[/cyan]" if idle else "[green]✓[/green]"
    line = f"{mark} {row['stage']:<24} {row['seconds']:>6.1f} s  "
    console.print(f"{line}[dim]{row['runner']}  {row['sizes']}[/dim]", highlight=False)


def stage_skipped(label: str, reason: str) -> None:
    """Say that a stage could not be done on this log, and why."""
    console.print(f"[yellow]-[/yellow] {label:<24} skipped: {reason}", highlight=False)


def say(sentence: str) -> None:
    """Print one sentence; its brackets are no markup."""
    console.print(sentence, highlight=False, markup=False)
