"""What it says: replies side by side, what was delivered, and how well the adapters write."""

import json
from collections.abc import Mapping
from typing import Any

from rapport.errors import ModelError, TooLittleDataError
from rapport.measuring.replies import delivered, measure_replies
from rapport.measuring.result import Measure
from rapport.report.blocks import Block, Section, Side, Table, signed, within
from rapport.report.facts import Facts
from rapport.text import load_encoder

_READ = 500
"""Delivered replies that are read, the newest."""


def replies(facts: Facts) -> Section:
    """Three messages answered by the base model, as the control group and personalised."""
    title = "Three messages, three answers each"
    kept = facts.kept("side_by_side")
    blocks: list[Block] = [Side(**each) for each in kept or ()]
    lead = (
        "The same message to the plain model, as a user of the control group is answered, and "
        "personalised. The bundled model has 135 million parameters: it shows the machinery."
        if kept
        else "A demo leaves examples here; rapport serve answers your own."
    )
    folder = facts.part("adapters")
    report = folder / "report.json" if folder else None
    if report is not None and report.exists():
        blocks.append(_adapters(json.loads(report.read_text(encoding="utf-8"))))
    told, rows = _delivered(facts)
    return Section(title, [lead, *told], [*blocks, *rows])


def _delivered(facts: Facts) -> tuple[list[str], list[Block]]:
    """A sentence on the replies that were delivered, and what it rests on."""
    try:
        served = delivered(facts.lake, tenant=facts.tenant, limit=_READ)
        found = measure_replies(served, load_encoder(), home=facts.home.root)
    except TooLittleDataError:
        return [], []  # nobody was served yet
    except ModelError as error:
        return [f"How well the delivered replies fit was not measured: {error}."], []
    gain, library = found.metrics["fit_gain"], found.metrics["library"]
    empty, loops = found.metrics["empty"], found.metrics["loops"]
    said = (
        f"The {found.n:,} delivered replies are nearer to the message they answered than to other "
        f"users' messages by a cosine of {signed(gain.estimate)} (95 %: "
        f"{within(gain.low, gain.high)}); {loops.estimate:.1%} loop, {empty.estimate:.1%} are "
        f"empty, {library.estimate:.0%} come from the approved library."
    )
    groups = {"all": found.metrics, **{name: one.metrics for name, one in found.groups.items()}}
    return [said], [_by_origin(groups)]


def _by_origin(groups: Mapping[str, Mapping[str, Measure]]) -> Table:
    return Table(
        "Delivered replies by who wrote them: cosine with the message answered and with messages "
        "of other users of the agent; shares of replies",
        ("written by", "replies", "own", "others'", "gain, 95 %", "loop", "empty", "said before"),
        [
            (
                name,
                found["loops"].n,
                signed(found["fit_own"].estimate),
                signed(found["fit_shuffled"].estimate),
                within(found["fit_gain"].low, found["fit_gain"].high),
                *(f"{found[share].estimate:.1%}" for share in ("loops", "empty", "repeats")),
            )
            for name, found in groups.items()
            if "fit_own" in found
        ],
    )


def _adapters(report: Mapping[str, Any]) -> Table:
    return Table(
        "Adapters: perplexity of held-out users' replies; the gain is in nats a token, 95 %",
        ("adapter", "tokens trained on", "base", "adapter", "gain", "interval", "held-out users"),
        [
            (
                name,
                found["tokens"],
                f"{found['perplexity_base']:.1f}",
                f"{found['perplexity_adapter']:.2f}",
                signed(found["gain"], 2),
                f"{found['gain_low']:.2f} to {found['gain_high']:.2f}",
                found["held_out_users"],
            )
            for name, found in report.items()
        ],
    )
