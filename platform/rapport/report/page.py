"""The page: one file that needs no network, its plots and their numbers beside it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rapport.progress import progress
from rapport.release_manifest import CARD_PAGE
from rapport.report import (
    descent,
    empathy,
    gating,
    holdings,
    learned,
    people,
    proof,
    regret,
    rewarding,
    speaking,
    valuing,
)
from rapport.report.blocks import Figure, Section
from rapport.report.facts import Facts
from rapport.report.templates import styles, template
from rapport.scratch import replaced

PAGE, PLOTS = "report.html", "plots"


def write_report(facts: Facts, out: Path) -> Path:
    """Write `report.html`, `plots/*.png` and `.csv`, and `card.html` where there is a card.

    A folder from before is replaced whole.

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
        if facts.card is not None:
            (fresh / CARD_PAGE).write_text(empathy.card_page(facts.card), encoding="utf-8")
        (fresh / PAGE).write_text(_page(sections, facts), encoding="utf-8")
    return out / PAGE


def sections_of(facts: Facts) -> list[Section]:
    """The page's sections, in the order in which people ask."""
    asked: Sequence[Callable[[Facts], Section | None]] = (
        proof.prove,
        gating.planted,
        gating.judged,
        empathy.carded,
        holdings.hold,
        people.persons,
        rewarding.rewards,
        people.moods,
        valuing.value,
        regret.regret,
        learned.learned,
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
    made = datetime.now(UTC)
    serving = facts.release.name if facts.release else "none yet"
    return template("page.html.j2").render(
        style=styles("style.css"),
        subtitle=f"Tenant {facts.tenant}, release {serving}, {made:%Y-%m-%d}",
        made=f"{made:%Y-%m-%d %H:%M} UTC",
        sections=sections,
    )
