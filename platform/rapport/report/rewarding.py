"""What people gave back: rewards by persona, by arm and by policy, against control."""

import numpy as np
from numpy.typing import NDArray

from rapport.affect.reward import REWARD, RewardSettings
from rapport.evaluation.influence import equal_mean, robust_mean
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import NO_ARM
from rapport.report import figures
from rapport.report.blocks import Block, Figure, Section
from rapport.report.facts import Facts
from rapport.report.leads import answered_by, lead_table, leads
from rapport.report.outcomes import LEAST_USERS, intervals, labelled, means

_UNIT = "mean reward a decision, -1 to 1"
CONTROL = "control"
_PULLED = 0.05
"""Reward units between the mean of users and that of the typical one, from which it is told."""


def rewards(facts: Facts) -> Section:
    """The section."""
    title = "What people gave back"
    data = facts.data
    if data is None:
        return Section(title, [f"Nothing to show: {facts.missing}."])
    ways = {
        "persona": ("by persona, control among them", _personas(data)),
        "arm": ("by arm", _arms(data)),
        "policy": ("by policy, against the control group", _policies(facts, data)),
    }
    plots = [_plot(name, told, labels, data) for name, (told, labels) in ways.items()]
    share = float(data.reported.mean())
    lead = [
        f"Something came back for {share:.0%} of {len(data):,} decisions. A reward weighs what "
        "was reported: ratings, task success, and the change of the sentiment curve.",
        _trusted(REWARD),
        _dealt(facts),
        *_pulled(data),
    ]
    shown: list[Block] = [plot for plot in plots if plot is not None]
    found = leads(facts)
    return Section(title, lead, [*shown, lead_table(found)] if found else shown)


def _trusted(settings: RewardSettings) -> str:
    """What the weight of what nobody said outright rests on."""
    found, weight = settings.evidence["sentiment"], settings.weights["sentiment"]
    told = (
        f"The curve weighs {weight:g} where a rating weighs 1: on {found.n:,} dialogues of ESConv, "
        "the failed ones among them, its rank correlation with the relief people told of is "
        f"{found.rho:.2f} ({found.low:.2f} to {found.high:.2f})"
    )
    if found.retained is not None:
        alone = found.retained
        told += (
            f"; among the {alone.n:,} that did not fail it is {alone.rho:.2f} ({alone.low:.2f} to "
            f"{alone.high:.2f}), so that "
            + ("it holds there, too" if alone.low > 0 else "none is shown there")
        )
    return (
        f"{told}. Reading times weigh nothing, for they were never held against what people said."
    )


def _pulled(data: PolicyDataset) -> list[str]:
    """A sentence on each persona whose mean a few of its people pull."""
    labels, told = _personas(data), []
    for name in np.unique(labels):
        rows = (labels == name) & ~np.isnan(data.reward)
        value, user = data.reward[rows], data.user[rows]
        if not name or len(np.unique(user)) < LEAST_USERS:
            continue
        mean, typical = equal_mean(value, user), robust_mean(value, user)
        if abs(mean - typical) > _PULLED:
            told.append(
                f"The mean of {name} is {mean:+.2f}, that of its typical user {typical:+.2f}: a "
                "few people, or a second kind of them, pull it."
            )
    return told


def _dealt(facts: Facts) -> str:
    source = facts.events("decisions", "propensity_source")["propensity_source"]
    inferred = int((source == "estimated").sum())
    if inferred * 2 > source.len():
        return (
            f"The arms of {inferred:,} decisions were inferred from the replies' words (on ESConv, "
            "one of three is wrong) and nobody dealt them evenly: differences between arms are "
            "hints, no proof that the arm made them."
        )
    return (
        "Arms were dealt by a policy, not evenly: differences between arms are no proof that the "
        "arm made them. The gate corrects for that; this plot does not."
    )


def _plot(name: str, told: str, labels: NDArray[np.str_], data: PolicyDataset) -> Figure | None:
    found = means(labels, data.reward, data.user, once=True).sort("value", descending=True)
    if not found.height:
        return None
    words = figures.Told(
        f"reward_by_{name}",
        f"Mean reward {told}, each user counting once, with 95 % intervals over users; "
        f"n {int(found['n'].sum()):,}",
        f"Mean reward {told}: "
        + ", ".join(f"{row[0]} {row[1]:+.3f}" for row in found.select("label", "value").rows()),
    )
    return figures.estimates(words, labelled(found), intervals(found), unit=_UNIT)


def _personas(data: PolicyDataset) -> NDArray[np.str_]:
    return np.where(data.control, CONTROL, data.persona)


def _arms(data: PolicyDataset) -> NDArray[np.str_]:
    names = np.array([*data.layout.arms, ""], dtype=np.str_)
    return np.where(data.action == NO_ARM, "", names[data.action])


def _policies(facts: Facts, data: PolicyDataset) -> NDArray[np.str_]:
    return np.where(data.control, CONTROL, answered_by(facts, data))
