"""The gate: may a candidate policy replace the one that wrote the log?

1. Better overall: the one-sided 95 % lower bound of the paired difference to the logging policy is
   above 0 under SNIPS and DR, and stays there with silence weighted, and filled with the worst.
2. No group with enough data harmed: that bound above `-margin` for each persona and declared group.
3. Enough sample: ESS >= max(200, 1 % of n), largest weight <= 100 after clipping.
4. Small harms do not add up: not worse than the first release and than control by more than .04.

Non-inferiority per group, not superiority: asking for a gain in every group promotes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation import diagnostics
from rapport.evaluation.estimators import (
    Log,
    dr_terms,
    importance_weights,
    logging_terms,
    snips_terms,
)
from rapport.evaluation.intervals import Bootstrap, Estimate, FloatArray, Terms, estimate
from rapport.evaluation.verdict import (
    TOO_LITTLE,
    GateSettings,
    Row,
    Verdict,
    error_rates,
    judged,
    needed_rows,
)

_MIN_USERS = 20  # below, resampling users understates the interval
_SURE = 4.0  # standard errors of the mean weight before propensities are doubted


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
    """Kind of group (`persona`, a declared group) to its labels [N]; each label is judged."""
    source: NDArray[Any] | None = None
    """[N] where a decision comes from; counted, not judged."""
    first: FloatArray | None = None
    """[N, A] probabilities of the first release's policy."""
    control: Log | None = None
    """Decisions of control users, answered without persona or policy."""
    new_generator: bool = False
    """True when adapters, prompts or the upstream model changed since the log was written."""

    def reported(self) -> "Evidence":
        """The rows something came back for."""
        keep = ~np.isnan(self.log.reward)
        return Evidence(
            log=self.log.rows(keep),
            q_hat=self.q_hat[keep],
            arms=self.arms,
            groups={kind: np.asarray(labels)[keep] for kind, labels in self.groups.items()},
            source=None if self.source is None else np.asarray(self.source)[keep],
            first=None if self.first is None else self.first[keep],
            control=self.control and self.control.rows(~np.isnan(self.control.reward)),
            new_generator=self.new_generator,
        )


def gate(evidence: Evidence, target: FloatArray, settings: GateSettings | None = None) -> Verdict:
    """Judge a candidate policy; promoted only if nothing fails and the sample is large enough.

    Args:
        evidence: The log and what to compare with.
        target: [N, A] the candidate's action probabilities on the log's rows.
        settings: Margins and sizes.

    Raises:
        TooLittleDataError: Fewer than two users reported anything.
        DataError: The arrays do not belong to one log.
    """
    settings = settings or GateSettings()
    keep = _checked(evidence, target)
    judge = _Judge(evidence.reported(), target[keep], settings)
    rows = [
        *judge.overall(),
        *judge.silence(evidence, target=target),
        *judge.groups(),
        judge.first_release(),
        judge.control(),
    ]
    sample = judge.sample()
    reasons = (*_failures(rows), *_sample_failures(sample))
    return Verdict(
        promoted=not reasons,
        reasons=reasons,
        rows=tuple(rows),
        settings=settings,
        n=len(keep),
        reported=int(keep.sum()),
        needed_n=needed_rows(rows, sample=sample, n=len(keep)),
        values=judge.values(),
        sample=sample,
        reporting_rates=diagnostics.reporting_rates(evidence.log, evidence.arms),
        error_rates=error_rates(rows),
        sources=judge.sources(),
        notes=tuple(_notes(evidence, sample)),
    )


class _Judge:
    """Makes the rows of one candidate; `seen` holds only rows with a reward."""

    def __init__(self, seen: Evidence, target: FloatArray, settings: GateSettings) -> None:
        self.seen, self.target, self.settings = seen, target, settings
        self.weight = importance_weights(seen.log, target, clip=settings.clip)

    def overall(self) -> list[Row]:
        log, clip = self.seen.log, self.settings.clip
        snips = snips_terms(log, self.target, clip=clip).minus(logging_terms(log))
        return [
            self._row("overall", snips, bound=0.0, estimator="snips"),
            self._row("overall", self._gain(log, self.target, q_hat=self.seen.q_hat), bound=0.0),
        ]

    def silence(self, whole: Evidence, *, target: FloatArray) -> list[Row]:
        if not np.isnan(whole.log.reward).any():
            return [_skipped("silence", "every decision was answered")]
        # Each bound stays at 0: silence must not be what makes a candidate look better.
        weighted, keep = diagnostics.with_reporting_weights(whole.log, whole.q_hat)
        filled = diagnostics.with_worst_fill(whole.log)
        return [
            self._row(
                "silence weighted",
                self._gain(weighted, target[keep], q_hat=whole.q_hat[keep]),
                bound=0.0,
            ),
            self._row("silence at worst", self._gain(filled, target, q_hat=whole.q_hat), bound=0.0),
        ]

    def groups(self) -> list[Row]:
        rows = [
            self._group(f"{kind}/{label}", labels == label)
            for kind, labels in self.seen.groups.items()
            for label in np.unique(labels)
        ]
        return rows or [_skipped("groups", "no persona or group is declared")]

    def first_release(self) -> Row:
        if self.seen.first is None:
            return _skipped("first release", "there is no older one")
        log, q_hat, clip = self.seen.log, self.seen.q_hat, self.settings.clip
        older = dr_terms(log, self.seen.first, q_hat, clip=clip)
        gain = dr_terms(log, self.target, q_hat, clip=clip).minus(older)
        return self._row("first release", gain, bound=-self.settings.drift)

    def control(self) -> Row:
        control = self.seen.control
        if control is None or len(np.unique(control.user)) < _MIN_USERS:
            return _skipped("control", f"fewer than {_MIN_USERS} control users reported")
        value = dr_terms(self.seen.log, self.target, self.seen.q_hat, clip=self.settings.clip)
        # Control users are other people, dealt by hash: the difference is between groups.
        gain = value.minus_apart(logging_terms(control))
        return self._row("control", gain, bound=-self.settings.drift)

    def sample(self) -> dict[str, float]:
        raw = importance_weights(self.seen.log, self.target)
        n, settings = len(raw), self.settings
        return {
            "ess": diagnostics.ess(self.weight),
            "ess_floor": settings.min_ess,
            "ess_needed": max(settings.min_ess, settings.ess_share * n),
            "max_weight": diagnostics.max_weight(self.weight),
            "max_weight_allowed": settings.max_weight,
            "clipped_share": float((raw > settings.clip).mean()),
            "mean_weight": float(raw.mean()),
            "mean_weight_stderr": float(raw.std() / np.sqrt(n)),
        }

    def values(self) -> dict[str, Estimate]:
        log, by = self.seen.log, Bootstrap(self.settings.resamples, self.settings.seed)
        clip = self.settings.clip
        terms = {
            "snips": snips_terms(log, self.target, clip=clip),
            "dr": dr_terms(log, self.target, self.seen.q_hat, clip=clip),
            "logging": logging_terms(log),
        }
        control = self.seen.control
        if control is not None and len(np.unique(control.user)) > 1:
            terms["control"] = logging_terms(control)
        return {name: estimate(one, by) for name, one in terms.items()}

    def sources(self) -> dict[str, dict[str, float]]:
        if self.seen.source is None:
            return {}
        return diagnostics.sizes_by_label(self.seen.log, self.weight, self.seen.source)

    def _group(self, name: str, rows: NDArray[np.bool_]) -> Row:
        log, size = self.seen.log.rows(rows), diagnostics.ess(self.weight[rows])
        users = len(np.unique(log.user))
        if size < self.settings.group_ess or users < _MIN_USERS:
            return Row(name, "dr", "skipped", len(log), users, size, note=TOO_LITTLE)
        gain = self._gain(log, self.target[rows], q_hat=self.seen.q_hat[rows])
        return self._row(name, gain, bound=-self.settings.margin)

    def _gain(self, log: Log, target: FloatArray, *, q_hat: FloatArray) -> Terms:
        value = dr_terms(log, target, q_hat, clip=self.settings.clip)
        return value.minus(logging_terms(log))

    def _row(self, group: str, gain: Terms, *, bound: float, estimator: str = "dr") -> Row:
        by = Bootstrap(self.settings.resamples, self.settings.seed, level=0.90)
        return judged(group, estimator, estimate(gain, by), bound=bound)


def _checked(evidence: Evidence, target: FloatArray) -> NDArray[np.bool_]:
    """[N] rows that reported."""
    if not len(target) == len(evidence.q_hat) == len(evidence.log):
        raise DataError("target, q_hat and log differ in rows", "give one row a decision")
    keep = ~np.isnan(evidence.log.reward)
    users = len(np.unique(evidence.log.user[keep]))
    if users < 2:
        raise TooLittleDataError("gate users with feedback", users, 2)
    return keep


def _skipped(group: str, note: str) -> Row:
    return Row(group, "dr", "skipped", n=0, users=0, ess=0.0, note=note)


def _failures(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.group} ({row.estimator}): lower bound {row.low:.4f} is not above {row.bound:g}"
        for row in rows
        if row.status == "failed"
    ]


def _sample_failures(sample: Mapping[str, float]) -> list[str]:
    reasons = []
    if sample["ess"] < sample["ess_needed"]:
        reasons.append(
            f"effective sample {sample['ess']:.0f} is under {sample['ess_needed']:.0f} decisions"
        )
    if sample["max_weight"] > sample["max_weight_allowed"]:
        reasons.append(
            f"largest weight {sample['max_weight']:.1f} is over {sample['max_weight_allowed']:g}"
        )
    return reasons


def _notes(evidence: Evidence, sample: Mapping[str, float]) -> list[str]:
    notes = []
    if evidence.new_generator:
        notes.append(
            "replies come from another generator than the log's: this verdict is about the choice "
            "of arms; the generator itself needs held-out tests and a randomised canary"
        )
    if abs(sample["mean_weight"] - 1.0) > _SURE * sample["mean_weight_stderr"]:
        notes.append(
            f"mean weight is {sample['mean_weight']:.3f} where 1 is expected: logged propensities "
            "are wrong, or the target favours arms this log never held"
        )
    return notes
