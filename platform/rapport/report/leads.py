"""What people who are answered personally give back above the control group: a standing experiment.

Who belongs to control is decided by a hash of the user, so the difference between both is what the
personal answers are worth, whatever arms they were.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.evaluation.comparisons import MIN_USERS
from rapport.evaluation.intervals import Estimate, estimate
from rapport.policy.dataset import PolicyDataset
from rapport.report.blocks import Table, signed, within
from rapport.report.facts import Facts
from rapport.report.outcomes import BY, counted_once

OVERALL = "overall"


@dataclass(frozen=True)
class Lead:
    """Mean reward of users, each counting once, less that of control users of the same policy."""

    policy: str
    """Who answered: a release, or the policy of a log."""
    group: str
    """`overall`, or a persona."""
    users: int
    control: int
    """Users of each side something came back from."""
    lead: Estimate | None
    """None where one side has fewer than 20."""

    @property
    def told(self) -> str:
        """Its interval, or that there is none."""
        few = f"too few users: {min(self.users, self.control)} of {MIN_USERS}"
        return within(self.lead.low, self.lead.high) if self.lead else few


def leads(facts: Facts) -> list[Lead]:
    """The lead over control of each policy that had a control group, overall and by persona.

    The policy that serves comes first. Decisions that were answered in full by an arm that a
    policy drew, against control's, both of the time in which that policy answered.
    """
    data = facts.data
    if data is None:
        return []
    data = data.rows((data.usable | data.control) & data.reported)
    policy = answered_by(facts, data)
    known = {str(name) for name in np.unique(policy[data.control]) if name}
    serving = f"release {facts.release.name}" if facts.release else ""
    known |= {serving} - {""}
    order = sorted(known, key=lambda name: (name != serving, name))
    return [lead for name in order for lead in _of_policy(name, data.rows(policy == name))]


def lead_table(found: list[Lead]) -> Table:
    """The leads for people."""
    return Table(
        "Lead over the control group in reward units, each user counting once, with 95 % intervals "
        "over users",
        ("answered by", "who", "users", "control users", "lead", "95 %"),
        [
            (one.policy, one.group, one.users, one.control,
             signed(one.lead.value if one.lead else None), one.told)
            for one in found
        ],
    )  # fmt: skip


def answered_by(facts: Facts, data: PolicyDataset) -> NDArray[np.str_]:
    """[N] the release, else the log and its policy, under which a decision was taken."""
    wrote = facts.events("decisions", "decision_id", "policy_version", "release_id", "source")
    named = wrote.with_columns(
        label=pl.coalesce(
            pl.lit("release ") + pl.col("release_id"),
            pl.col("source") + pl.lit(", policy ") + pl.col("policy_version"),
            "source",
        )
    )
    found = dict(named.select("decision_id", "label").iter_rows())
    return np.array([found.get(each) or "" for each in data.decision_id.tolist()], dtype=np.str_)


def _of_policy(policy: str, data: PolicyDataset) -> Iterator[Lead]:
    groups = {OVERALL: np.ones(len(data), dtype=bool)}
    groups |= {name: data.persona == name for name in sorted(data.layout.personas)}
    for name, rows in groups.items():
        sides = [data.rows(rows & side) for side in (~data.control, data.control)]
        treated, control = (len(np.unique(side.user)) for side in sides)
        lead = None
        if min(treated, control) >= MIN_USERS:
            ours, theirs = (counted_once(side.reward, side.user) for side in sides)
            lead = estimate(ours.minus_apart(theirs), BY)
        yield Lead(policy, name, treated, control, lead)
