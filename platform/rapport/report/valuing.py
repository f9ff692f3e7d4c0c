"""What the policy is worth: estimators side by side, overlap, and how far it may be believed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.evaluation.estimators import importance_weights
from rapport.evaluation.valuation import valuations
from rapport.evaluation.verdict import OBSERVED
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Scores
from rapport.report import figures
from rapport.report.blocks import Figure, Section
from rapport.report.facts import Facts
from rapport.report.outcomes import BY, LEAST_USERS, binned, means

_NAMES = {
    "snips": "SNIPS",
    "dr": "DR",
    "logging": "the log's policy",
    "control": "control",
}
_ESTIMATORS = {
    "snips": "SNIPS",
    "dr": "DR",
    "clipped": "IPS, weights cut",
    "logging": "the log's policy",
}
_OVERALL = "overall"
_EDGES = (0, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 100)


def value(facts: Facts) -> Section:
    """The policy's value by estimator, with overlap and effective sample size."""
    title = "What the policy is worth"
    verdict = facts.verdict
    if verdict is None:
        return Section(title, [facts.unjudged.replace("below", "above")])
    sample = verdict["sample"]
    lead = [
        f"Judged on {verdict['reported']:,} answered decisions of users it learned nothing from. "
        f"They are worth {sample['ess']:.0f} of its own decisions (effective sample size; "
        f"{sample['ess_needed']:.0f} needed); the largest weight is {sample['max_weight']:.1f}.",
        "Where estimators disagree, believe the interval that is wider.",
    ]
    return Section(title, lead, [_values(verdict), *_by_group(facts), *_overlap(facts)])


def belief(facts: Facts) -> Section:
    """Calibration of both factors."""
    title = "Are its predictions to be believed?"
    rows, scores = facts.gate, facts.scores
    if rows is None or scores is None or facts.policy is None or facts.policy.scorer is None:
        return Section(title, ["There is no trained policy that knows this log's personas."])
    lead = [
        "Both factors of a choice beside what happened: the reward expected of the arm taken, and "
        "how likely the arm was held to be. Points on the dashed line are right. How likely an arm "
        "is comes from a model of good supporters: a log that deals arms evenly shows no slope.",
    ]
    found = [_expected_reward(rows, scores), _likely_arm(rows, scores)]
    return Section(title, lead, [plot for plot in found if plot is not None])


def _values(verdict: Mapping[str, Any]) -> Figure:
    found = verdict["values"]
    shown = {
        f"{words}{name.removeprefix(key)}": found[name]
        for key, words in _NAMES.items()
        for name in found
        if name == key or name.startswith(f"{key}, ")
    }
    told = figures.Told(
        "value",
        "Mean reward a decision (-1 to 1) with 95 % intervals over users: the candidate by "
        "self-normalised importance sampling (SNIPS) and doubly robust (DR), the policy that wrote "
        f"the log, and control; each under three readings of silence; n {verdict['n']:,} decisions",
        "Values: " + ", ".join(f"{name} {each['value']:+.3f}" for name, each in shown.items()),
    )
    triples = [(each["value"], each["low"], each["high"]) for each in shown.values()]
    return figures.estimates(told, list(shown), triples, unit="mean reward a decision, -1 to 1")


def _by_group(facts: Facts) -> list[Figure]:
    """Of the policy that serves, as it is: personas that the gate withheld from it included."""
    rows, scores, policy = facts.gate, facts.scores, facts.policy
    if rows is None or scores is None or policy is None:
        return []
    # What a reward model expects of gate users, it learned from others; a ranking expects nothing.
    q_hat = 2.0 * scores.rec - 1.0 if policy.learner == "reward_model" else None
    log, target = rows.log(), scores.probability
    found = {
        **valuations(log, target, q_hat, labels=np.full(len(rows), _OVERALL), by=BY),
        **valuations(log, target, q_hat, labels=rows.persona, by=BY),
    }
    shown = [
        {"label": f"{label} (n {each.reported:,})", "kind": words, "value": one.value,
         "low": one.low, "high": one.high, "users": each.users, "ess": each.ess}
        for label, each in found.items()
        if each.users >= LEAST_USERS
        for name, words in _ESTIMATORS.items()
        if (one := each.estimates[OBSERVED].get(name)) is not None
    ]  # fmt: skip
    if not shown:
        return []
    told = figures.Told(
        "value_by_group",
        "Mean reward a decision (-1 to 1) of the policy that serves, by estimator and persona, as "
        "told, with 95 % intervals over users; beside it what the log's policy earned; "
        f"n {found[_OVERALL].reported:,} answered decisions of gate users",
        "Values: "
        + "; ".join(f"{row['label']}, {row['kind']} {row['value']:+.3f}" for row in shown),
    )
    unit = "mean reward a decision, -1 to 1"
    return [figures.compared(told, pl.DataFrame(shown), unit=unit)]


def _overlap(facts: Facts) -> list[Figure]:
    rows, scores = facts.gate, facts.scores
    if rows is None or scores is None:
        return []
    weight = importance_weights(rows.log(), scores.probability)
    told = figures.Told(
        "overlap",
        "How many times likelier the serving policy makes the arm that was taken than the log "
        f"did; n {len(rows):,} decisions; weights near 1 are the evidence, large ones the risk",
        f"Histogram of importance weights; median {np.median(weight):.2f}",
    )
    return [figures.counts(told, weight, unit="importance weight", edges=_EDGES)]


def _expected_reward(rows: PolicyDataset, scores: Scores) -> Figure | None:
    taken = scores.rec[np.arange(len(rows)), rows.action]
    known = rows.reported
    return _calibration(
        "calibration_reward",
        "Reward expected of the arm taken and reward observed, in tenths of the decisions",
        2.0 * taken[known] - 1.0,
        rows.reward[known],
        rows.user[known],
        unit="reward, -1 to 1",
    )


def _likely_arm(rows: PolicyDataset, scores: Scores) -> Figure | None:
    """Every arm of every decision: was it taken, and how likely was it held to be?

    Meaningful for logs of people; an evenly dealt log takes every arm equally often.
    """
    offered = rows.mask
    users = np.repeat(rows.user, offered.sum(axis=1))
    held = np.where(offered, scores.nlp, 0.0)
    held /= held.sum(axis=1, keepdims=True)
    taken = np.zeros_like(offered, dtype=np.float64)
    taken[np.arange(len(rows)), rows.action] = 1.0
    return _calibration(
        "calibration_arm",
        "Share of arms taken beside how likely each was held to be, in tenths of the arms offered",
        held[offered],
        taken[offered],
        users,
        unit="probability",
    )


def _calibration(
    name: str,
    caption: str,
    expected: NDArray[np.float64],
    seen: NDArray[np.float64],
    user: NDArray[np.str_],
    *,
    unit: str,
) -> Figure | None:
    place = binned(expected)
    labels = np.array([f"{each:02d}" for each in place.tolist()], dtype=np.str_)
    found = means(labels, seen, user)
    if found.height < 2:
        return None
    middle = [float(expected[labels == label].mean()) for label in found["label"]]
    numbers = found.with_columns(expected=pl.Series(middle))
    gap = float(np.average(np.abs(numbers["value"] - numbers["expected"]), weights=numbers["n"]))
    told = figures.Told(
        name,
        f"{caption}, with 95 % intervals over users; n {len(seen):,}; mean gap {gap:.3f}",
        f"Calibration plot; mean distance from the diagonal {gap:.3f}",
    )
    return figures.calibration(told, numbers, unit=unit)
