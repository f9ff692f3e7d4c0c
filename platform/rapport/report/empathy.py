"""The empathy card as a page: one file that needs no network, for who decides about a release."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rapport.card.conduct import measured
from rapport.card.document import Card, Line, Status
from rapport.card.document import Section as Part
from rapport.card.making import write_card
from rapport.home import Home
from rapport.lake import lake_of
from rapport.models import pull
from rapport.pipeline.policies import find_candidate
from rapport.pipeline.settings import EvaluateConfig
from rapport.release import alias_of
from rapport.release_manifest import CARD_PAGE
from rapport.report import figures
from rapport.report.blocks import Block, Cell, Figure, Link, Section, Table, signed, within
from rapport.report.facts import Facts
from rapport.report.templates import styles, template
from rapport.scratch import replace_text

_HEADS = {
    "helps": "Does it help?",
    "harms": "Whom does it harm?",
}
_WORDS: Mapping[Status, str] = {
    "passed": "Passed",
    "refused": "Refused",
    "inherited": "No worse than the base model",
    "too little data": "Too little data",
    "not measured": "Not measured",
}
_MARKS: Mapping[Status, str] = {
    "passed": "✓", "refused": "✗", "inherited": "=", "too little data": "?", "not measured": "-",
}  # fmt: skip
_MOST_PLOTTED = 24


def card_of_candidate(config: EvaluateConfig, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Make the card of a candidate that was just judged, for machines and for people.

    Returns:
        Its overall `status` and `reason`, the status of each section, and adapters refused.
    """
    home, lake = Home(config.home), lake_of(config)
    folder = find_candidate(home, verdict["candidate"])
    found = measured(home, folder, pull(config.language_model), config.card)
    card = write_card(home, lake, folder, verdict, found)
    replace_text(folder / CARD_PAGE, card_page(card))
    return {
        "status": card.status,
        "reason": card.reason,
        "sections": {each.name: each.status for each in card.sections},
        "adapters_refused": [name for name, each in card.adapters.items() if not each.passed],
    }


def carded(facts: Facts) -> Section | None:
    """The report's section about the card, with the way to it; none where there is none."""
    card = facts.card
    if card is None:
        return None
    lead = [f"{verdict(card.status)}: {card.reason}."]
    link = Link("The empathy card, with its plots, groups and what it cannot say", CARD_PAGE)
    return Section("Does it help, and whom does it harm?", lead, [summary(card), link])


def card_page(card: Card) -> str:
    """The page's HTML."""
    return template("card.html.j2").render(
        style=styles("style.css", "card.css"),
        card=card,
        alias=alias_of(card.candidate),
        judged=f"{card.judged:%Y-%m-%d %H:%M} UTC",
        words=_WORDS,
        marks=_MARKS,
        summary=summary(card),
        adapters=_adapters(card),
        questions=[
            (key, head, [(part, section_of(part)) for part in card.of(key)])  # type: ignore[arg-type]
            for key, head in _HEADS.items()
        ],
        lineage=_lineage(card),
    )


def summary(card: Card) -> Table:
    """One line a section: what was asked, the verdict, why."""
    rows = [(each.title, verdict(each.status), each.reason) for each in card.sections]
    return Table("Verdict of each section", ("question", "verdict", "why"), rows)


def verdict(status: Status) -> str:
    """A status as it is shown, told by mark and word, never by colour alone."""
    return f"{_MARKS[status]} {_WORDS[status]}"


def section_of(part: Part) -> Section:
    """A section of the card as one of a page: its numbers drawn and in a table."""
    lead = [*(f"{note[0].upper()}{note[1:]}." for note in part.notes)]
    blocks: list[Block] = [*_plots(part)]
    if part.lines:
        blocks.append(_table(part))
    return Section(part.title, lead, blocks)


def _plots(part: Part) -> Iterator[Figure]:
    """One plot a metric that several groups have, in the order of the lines."""
    metrics = list(dict.fromkeys(line.metric for line in part.lines))
    for place, metric in enumerate(metrics):
        lines = [line for line in part.lines if line.metric == metric and _drawable(line)]
        if not 1 < len(lines) <= _MOST_PLOTTED:
            continue
        found = [(line.estimate or 0.0, line.low or 0.0, line.high or 0.0) for line in lines]
        bounds = sorted({line.bound for line in lines if line.bound is not None})
        told = figures.Told(
            f"card_{part.name}_{place}",
            f"{metric[0].upper()}{metric[1:]}; {part.interval or '95 % interval'}"
            + (f"; dashed: {', '.join(f'{bound:g}' for bound in bounds)}" if bounds else ""),
            f"{metric}: " + "; ".join(f"{line.group} {signed(line.estimate)}" for line in lines),
        )
        labels = [line.group for line in lines]
        yield figures.estimates(told, labels, found, unit=metric, marks=bounds or (0.0,))


def _drawable(line: Line) -> bool:
    return None not in (line.estimate, line.low, line.high)


def _table(part: Part) -> Table:
    weighted = any(line.ess is not None for line in part.lines)
    columns = ["of", "what", "value", "interval", "held to", "n", "verdict", "remark"]
    if weighted:
        columns.insert(6, "ESS")
    return Table(
        f"{part.title} {part.interval}".strip(),
        columns,
        [_row(line, weighted=weighted) for line in part.lines],
    )


def _row(line: Line, *, weighted: bool) -> Sequence[Cell]:
    row: list[Cell] = [
        line.group,
        line.metric,
        signed(line.estimate),
        within(line.low, line.high),
        signed(line.bound, 2),
        line.n or None,
        verdict(line.status) if line.status else "told",
        line.note,
    ]
    if weighted:
        row.insert(6, None if not line.ess else round(line.ess))
    return row


def _adapters(card: Card) -> Table | None:
    if not card.adapters:
        return None
    rows = [
        (name, verdict("passed" if each.passed else "refused"), "; ".join(each.reasons))
        for name, each in card.adapters.items()
    ]
    caption = "Whom the gate lets write; a refused persona's adapter is replaced by the shared one"
    return Table(caption, ("adapter", "verdict", "why not"), rows)


def _lineage(card: Card) -> list[Table]:
    made = card.lineage
    counted = [("users that taught " + part, n) for part, n in made.users.items()]
    counted += [(f"decisions of {name}", n) for name, n in made.sources.items()]
    counted += [(f"version of {name}", n) for name, n in made.table_versions.items()]
    return [
        Table("What it was made of", ("part", "count"), [*counted, ("code", made.code_version)]),
        Table("Licences", ("of", "licence"), list(made.licences.items())),
        Table("Models", ("address", "name and hash"), list(made.models.items())),
    ]
