"""From a judged candidate to its card."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from rapport.affect.scorers import load_scorer
from rapport.card.document import (
    ADAPTER,
    AdapterVerdict,
    Card,
    Lineage,
    Section,
    Status,
    not_measured,
    to_text,
    worst,
)
from rapport.card.gains import adapters_section, groups_section, policy_section
from rapport.card.validity import reward_section
from rapport.evaluation.generators import CANARY_ONLY
from rapport.evaluation.verdict import NEW_REPLIES
from rapport.home import Home
from rapport.lake import Lake
from rapport.language.training import read_reports
from rapport.models import model_info, pull
from rapport.pipeline.policies import origin_of
from rapport.release import Origin
from rapport.release_manifest import CARD
from rapport.scratch import replace_text

_LICENCES = {
    "simulation": "Apache-2.0, made by this library's simulator",
    "esconv": "CC BY-NC 4.0: not for commercial use",
    "esconv_failed": "CC BY-NC 4.0: not for commercial use",
    "obd": "CC BY 4.0",
    "serve": "this home's own conversations",
}
_ALWAYS = (
    "Whether anybody is better off for good: rewards are read from feedback within a conversation.",
    "How replies would be taken by people unlike those in the log, or in another language.",
)
MEASURED: Mapping[str, tuple[str, str, str]] = {
    "ladder": ("helps", "Does each step help on held-out people?", "rapport evaluate ladder"),
    "reliability": ("harms", "Does warmth cost truth?", "rapport evaluate card --full"),
    "boundaries": ("harms", "Does it keep its distance?", "rapport evaluate card --full"),
    "defects": ("harms", "What is wrong with its replies?", "rapport evaluate card --full"),
}
"""Sections that take a measurement of their own: question, title, and the command that makes it."""


def write_card(
    home: Home, lake: Lake, folder: Path, verdict: Mapping[str, Any], measured: Sequence[Section]
) -> Card:
    """Make the card of a judged candidate and write its `card.json`.

    Args:
        home: Where the candidate lies.
        lake: What it was made from.
        folder: Of the candidate.
        verdict: The gate's, as `verdict.json` holds it.
        measured: Sections that were measured; those missing are named as not measured.
    """
    card = make_card(
        folder, verdict, measured, lineage=_lineage(home, lake, origin_of(home, lake, folder.name))
    )
    replace_text(folder / CARD, to_text(card))
    return card


def make_card(
    folder: Path, verdict: Mapping[str, Any], measured: Sequence[Section], *, lineage: Lineage
) -> Card:
    """The card of a candidate; see `write_card`."""
    found = {section.name: section for section in measured}
    sections = (
        policy_section(verdict),
        reward_section(folder),
        adapters_section(read_reports(folder / "adapters")),
        found.get("ladder") or _missing("ladder"),
        groups_section(verdict),
        *(found.get(name) or _missing(name) for name in ("reliability", "boundaries", "defects")),
    )
    status: Status = worst(section.status for section in sections)
    return Card(
        candidate=folder.name,
        judged=datetime.now(UTC),
        status=status,
        reason=_reason(sections),
        sections=sections,
        adapters=adapter_verdicts(sections),
        cannot_say=_cannot_say(sections, verdict, lineage),
        lineage=lineage,
    )


def adapter_verdicts(sections: Sequence[Section]) -> dict[str, AdapterVerdict]:
    """What each section says of each adapter; one refusal is enough."""
    reasons: dict[str, list[str]] = {}
    for section in sections:
        for line in section.lines:
            if line.group.startswith(ADAPTER):
                found = reasons.setdefault(line.group.removeprefix(ADAPTER), [])
                if line.status == "refused":
                    found.append(f"{section.name}: {line.note or line.metric}")
    return {
        name: AdapterVerdict(passed=not why, reasons=tuple(why)) for name, why in reasons.items()
    }


def _missing(name: str) -> Section:
    question, title, command = MEASURED[name]
    reason = f"not measured: {command}"
    return not_measured(name, title, "helps" if question == "helps" else "harms", reason)


def _reason(sections: Sequence[Section]) -> str:
    by_status = {
        status: [section.name for section in sections if section.status == status]
        for status in ("refused", "inherited", "too little data", "not measured", "passed")
    }
    return "; ".join(
        f"{status}: {', '.join(names)}" for status, names in by_status.items() if names
    )


def _cannot_say(
    sections: Sequence[Section], verdict: Mapping[str, Any], lineage: Lineage
) -> tuple[str, ...]:
    said = []
    new = verdict.get("change", "policy") in NEW_REPLIES
    if new and verdict.get("generator", CANARY_ONLY) == CANARY_ONLY:
        said.append(
            "What the new replies themselves are worth: the log holds those of another generator, "
            "so its estimate is about the choice of kinds of reply."
        )
    if set(lineage.sources) == {"simulation"}:
        said.append("Anything about people: every decision of this log was simulated.")
    few = [line.group for each in sections for line in each.lines if line.note == "too little data"]
    if few:
        said.append(f"Whether it harms {', '.join(sorted(set(few)))}: too little data.")
    missing = [each.title for each in sections if each.status == "not measured"]
    said += [f"{title} It was not measured." for title in missing]
    return (*said, *_ALWAYS)


def _lineage(home: Home, lake: Lake, origin: Origin) -> Lineage:
    models = {
        uri: name for record in (origin.jobs or {}).values() for uri, name in record.models.items()
    }
    rows = lake.scan("decisions", purpose="train").group_by("source").agg(pl.len()).collect()
    sources = dict(sorted(rows.iter_rows()))
    scorer = load_scorer(home.root / "models").facts
    return Lineage(
        code_version=origin.code_version,
        users={part: len(set(users)) for part, users in origin.lineage.items()},
        table_versions=origin.table_versions or {},
        sources=sources,
        models=models,
        licences={
            **{uri: _licence(uri) for uri in models},
            "emotion scorer": str(scorer.get("licence", "not stated")),
            **{f"log of {name}": _LICENCES.get(name, "the tenant's own") for name in sources},
        },
    )


def _licence(uri: str) -> str:
    info = model_info(pull(uri))
    return info.licence if info else "not stated"
