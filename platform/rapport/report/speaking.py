"""What it says: replies side by side, and how well the adapters write."""

import json
from collections.abc import Mapping
from typing import Any

from rapport.report.blocks import Block, Section, Side, Table, signed
from rapport.report.facts import Facts


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
    return Section(title, [lead], blocks)


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
