"""How the policy that serves was learned: what it was off by in each pass over its examples."""

from typing import Any

import polars as pl

from rapport.policy.learning import Learning
from rapport.report import figures
from rapport.report.blocks import Figure, Section
from rapport.report.facts import Facts

_LEARNERS = {"reward_model": "a reward model", "marwil": "RLlib's MARWIL"}
LEARNED, HELD_OUT, CONSTANT = "what it learned from", "users it never saw", "the mean, always"


def learned(facts: Facts) -> Section | None:
    """The learning curve; none where the policy learned nothing, or in a release of before."""
    policy = facts.policy
    learning = policy.scorer.learning if policy is not None and policy.scorer else None
    if policy is None or learning is None:
        return None
    lead = [
        f"It is {_LEARNERS[policy.learner]}, which went {len(learning.learned)} times over "
        f"{learning.examples:,} examples of users on whom it is not judged.",
        *_held_out(learning),
    ]
    return Section("How it was learned", lead, [_plot(learning)])


def _held_out(learning: Learning) -> list[str]:
    if not learning.held_out or learning.constant is None:
        return ["Its learner keeps no loss on users it did not learn from."]
    least = min(learning.held_out)
    place, last = learning.held_out.index(least) + 1, learning.held_out[-1]
    told = f"least in pass {place} ({least:.4f}), " if place < len(learning.held_out) else ""
    return [
        "It is three networks, each blind to a third of the users. On those the squared error "
        f"began at {learning.held_out[0]:.4f} and ended at {last:.4f}, {told}where always "
        f"expecting the mean is off by {learning.constant:.4f}: most of a reward is chance that no "
        "model foresees. A curve that rises again would be learning by heart."
    ]


def _plot(learning: Learning) -> Figure:
    curves = {LEARNED: learning.learned, HELD_OUT: learning.held_out}
    if learning.constant is not None:
        curves[CONSTANT] = (learning.constant,) * len(learning.learned)
    rows: list[dict[str, Any]] = [
        {"of": name, "pass": place, "value": loss, "low": loss, "high": loss}
        for name, losses in curves.items()
        for place, loss in enumerate(losses, start=1)
    ]
    told = figures.Told(
        "learning",
        f"Mean {learning.loss} in each pass over the examples, while it went on; "
        f"n {learning.examples:,} a pass",
        "Learning curves, from the first pass to the last: "
        + "; ".join(f"{name} {c[0]:.4f} to {c[-1]:.4f}" for name, c in curves.items() if c),
    )
    axes = ("pass over the examples", learning.loss)
    return figures.courses(told, pl.DataFrame(rows), group="of", x="pass", axes=axes)
