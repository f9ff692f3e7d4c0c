"""Progress for people: bars on stderr when it is a terminal, silence otherwise."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Advance = Callable[[int], None]
_shown: list[Progress] = []
"""What is on the terminal, the innermost last: one at a time is drawn."""


class _Rate(ProgressColumn):
    """Units a second, as far as it is known."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s")


class _OfAbout(ProgressColumn):
    """Seconds so far, and those it will take."""

    def render(self, task: Task) -> Text:
        spent = task.elapsed or 0.0
        if task.total is None:
            return Text(f"{spent:.0f} s")
        late = spent > task.total
        about = (
            f" (about {task.total:.0f} s was expected)" if late else f" of about {task.total:.0f} s"
        )
        return Text(f"{spent:.0f} s{about}")


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:
    """Show how far a stage is, its rate and the time left; none as total shows what was done.

    Call the yielded function with the units just done.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    known = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    open_ = (SpinnerColumn(), TextColumn("{task.completed:,.0f}"), _Rate(), TimeElapsedColumn())
    columns = open_ if total is None else known
    with _drawn(_bar(*columns)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def working(label: str, seconds: float | None) -> Iterator[None]:
    """Show that something runs which cannot be counted, for how long, and what it took before."""
    if not sys.stderr.isatty():
        yield
        return
    with _drawn(_bar(SpinnerColumn(), _OfAbout())) as bar:
        bar.add_task(label, total=seconds)
        yield


def _bar(*columns: ProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        *columns,
        console=Console(stderr=True),
        refresh_per_second=4,  # drawing takes processor time from what it shows
        transient=True,
    )


@contextmanager
def _drawn(bar: Progress) -> Iterator[Progress]:
    """Draw a bar in place of the one around it, which comes back when this one ends."""
    if _shown:
        _shown[-1].stop()
    _shown.append(bar)
    bar.start()
    try:
        yield bar
    finally:
        bar.stop()
        _shown.pop()
        if _shown:
            _shown[-1].start()
