"""What a candidate is judged on: a log of gate users, and how its silence may be read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation import diagnostics
from rapport.evaluation.estimators import Log
from rapport.evaluation.influence import USER_CAP, restrained
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import OBSERVED, Change

WEIGHTED, AT_WORST = "weighted", "at worst"
"""Readings of silence beside `OBSERVED`: each answer standing for the silent ones like it; every
silence filled with the worst reward."""
NO_OLDER = "there is no older one"


@dataclass(frozen=True)
class Evidence:
    """A log of users that taught the candidate nothing, and what it is held against."""

    log: Log
    """N decisions; `reward` nan where nothing came back."""
    q_hat: FloatArray
    """[N, A] rewards predicted by a model of other users."""
    arms: Sequence[str]
    """A names, in column order."""
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Kind of group (`persona`, a declared group) to its labels [N]; each label is judged, the
    empty one is no group."""
    kept: Collection[str] = ()
    """Groups (`kind/label`) with too little data, in which the target is the incumbent."""
    source: NDArray[Any] | None = None
    """[N] where a decision comes from; counted, not judged."""
    first: FloatArray | None = None
    """[N, A] probabilities of the first release's policy."""
    first_note: str = NO_OLDER
    """Why there is no `first`."""
    control: Log | None = None
    """Decisions of control users, answered without persona or policy."""
    foreign: NDArray[np.bool_] | None = None
    """[N] replies that another generator made than the candidate's; None where all are its own."""
    stated: Change | None = None
    """What the candidate changes, where it is known what serves."""

    @property
    def change(self) -> Change:
        """What the candidate changes; where nobody stated it, as the log tells it."""
        told: Change = "policy" if self.foreign is None else "policy and generator"
        return self.stated or told

    def rows(self, keep: NDArray[Any]) -> "Evidence":
        """The evidence of some of the decisions."""
        return replace(
            self,
            log=self.log.rows(keep),
            q_hat=self.q_hat[keep],
            groups={kind: np.asarray(labels)[keep] for kind, labels in self.groups.items()},
            source=None if self.source is None else np.asarray(self.source)[keep],
            first=None if self.first is None else self.first[keep],
            foreign=None if self.foreign is None else self.foreign[keep],
        )

    @cached_property
    def members(self) -> dict[str, NDArray[np.bool_]]:
        """Rows [N] of each group, by `kind/label`."""
        return {
            f"{kind}/{label}": labels == label
            for kind, labels in self.groups.items()
            for label in np.unique(labels)
            if str(label)
        }


@dataclass(frozen=True)
class Reading:
    """The decisions under one reading of silence, and the target's probabilities on them."""

    evidence: Evidence
    target: FloatArray


def restrained_log(log: Log, *, most: float = USER_CAP) -> Log:
    """The same decisions with no user counting for more than `most` times the average one.

    Users are numbered; see `rapport.evaluation.influence.restrained`.
    """
    _, user = np.unique(log.user, return_inverse=True)
    return replace(log, user=user, row_weight=restrained(log.weight, user, most=most))


def readings(
    evidence: Evidence, target: FloatArray, *, most: float = USER_CAP
) -> dict[str, Reading]:
    """Read the silence of a log in each way; `OBSERVED` alone where every decision was answered.

    In each reading no user counts for more than `most` times the average one.

    Raises:
        DataError: The arrays do not belong to one log.
        TooLittleDataError: Fewer than two users reported anything.
    """
    if not len(target) == len(evidence.q_hat) == len(evidence.log):
        raise DataError("target, q_hat and log differ in rows", "give one row a decision")
    evidence = _numbered(evidence)
    answered = ~np.isnan(evidence.log.reward)
    users = len(np.unique(evidence.log.user[answered]))
    if users < 2:
        raise TooLittleDataError("gate users with feedback", users, 2)
    control = evidence.control
    heard = None if control is None else control.rows(~np.isnan(control.reward))
    seen = replace(evidence.rows(answered), control=heard)
    found = {OBSERVED: Reading(seen, target[answered])}
    if not answered.all():
        weighted, _ = diagnostics.with_reporting_weights(evidence.log, evidence.q_hat)
        found[WEIGHTED] = Reading(replace(seen, log=weighted), target[answered])
        filled = replace(
            evidence,
            log=diagnostics.with_worst_fill(evidence.log),
            control=None if control is None else diagnostics.with_worst_fill(control),
        )
        found[AT_WORST] = Reading(filled, target)
    return {name: _restrained(reading, most=most) for name, reading in found.items()}


def _restrained(reading: Reading, *, most: float) -> Reading:
    seen = reading.evidence
    weight = restrained(seen.log.weight, seen.log.user, most=most)
    control = seen.control
    if control is not None:
        held = restrained(control.weight, control.user, most=most)
        control = replace(control, row_weight=held)
    return replace(
        reading,
        evidence=replace(seen, log=replace(seen.log, row_weight=weight), control=control),
    )


def _numbered(evidence: Evidence) -> Evidence:
    """Users as numbers: sorting a hundred thousand names for every estimate would cost seconds."""
    log, control = evidence.log, evidence.control
    theirs = log.user[:0] if control is None else control.user
    labels, code = np.unique(np.concatenate([log.user, theirs]), return_inverse=True)
    assert len(code) == len(log) + len(theirs), labels.shape
    return replace(
        evidence,
        log=replace(log, user=code[: len(log)]),
        control=None if control is None else replace(control, user=code[len(log) :]),
    )
