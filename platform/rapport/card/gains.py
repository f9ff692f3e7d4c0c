"""Sections of the card that rest on what training and the gate already found."""

from collections.abc import Mapping, Sequence
from typing import Any

from rapport.card.document import Line, Section, Status, not_measured, worst
from rapport.evaluation.verdict import Row, rows_of
from rapport.language.training import TrainReport

ONE_SIDED = "one-sided 95 % bounds, users resampled together"
_TWO_SIDED = "95 % interval, users resampled together"
_OF_ROW: Mapping[str, Status] = {
    "passed": "passed", "failed": "refused", "skipped": "too little data",
}  # fmt: skip
_GAIN = "gain, reward units a decision"
_OVER = {
    "overall": "over the log's policy",
    "control": "over control",
    "first release": "over the first release",
}
_BY = {"dr": "doubly robust", "snips": "SNIPS"}
_VALUES = {"dr": "candidate", "logging": "the log's policy", "control": "control"}


def policy_section(verdict: Mapping[str, Any]) -> Section:
    """What the policy is expected to gain over the log's, over control and the first release."""
    rows = [row for row in rows_of(verdict) if "/" not in row.group]
    values = verdict["values"]
    told = [
        Line(
            group=words,
            metric="mean reward a decision, 95 % interval",
            estimate=values[name]["value"],
            low=values[name]["low"],
            high=values[name]["high"],
            n=values[name].get("n", verdict["reported"]),
        )
        for name, words in _VALUES.items()
        if name in values
    ]
    failed = [row for row in rows if row.status == "failed"]
    few = verdict["sample"]["ess"] < verdict["sample"]["ess_needed"]
    status: Status = "refused" if failed else "too little data" if few else "passed"
    return Section(
        name="policy",
        title="Does the policy gain?",
        question="helps",
        status=status,
        reason=_policy_reason(rows, failed, verdict),
        interval=ONE_SIDED,
        lines=(*(_line(row) for row in rows), *told),
        notes=tuple(verdict["notes"]),
    )


def _policy_reason(rows: Sequence[Row], failed: Sequence[Row], verdict: Mapping[str, Any]) -> str:
    if failed:
        return "; ".join(f"{row.group} ({row.estimator}): {row.failure}" for row in failed)
    sample = verdict["sample"]
    if sample["ess"] < sample["ess_needed"]:
        return f"effective sample {sample['ess']:.0f} of {sample['ess_needed']:.0f} decisions"
    found = [row for row in rows if row.group == "overall" and row.low is not None]
    lows = ", ".join(f"{row.low:+.3f} by {row.estimator}" for row in found)
    return f"the lower bound of the gain over the log's policy is above 0: {lows}"


def groups_section(verdict: Mapping[str, Any]) -> Section:
    """What each persona and declared group is expected to gain or lose."""
    rows = [row for row in rows_of(verdict) if "/" in row.group]
    title = "Whom could the policy harm?"
    if not rows:
        reason = "no persona or group is declared"
        return not_measured("groups", title, "harms", reason)
    lines = tuple(_line(row) for row in rows)
    harmed = [row.group for row in rows if row.status == "failed"]
    few = [row.group for row in rows if row.status == "skipped"]
    margin = verdict["settings"]["margin"]
    reason = f"nobody of {len(rows) - len(few)} judged groups loses more than {margin:g}"
    if few:
        reason += f"; too little data: {', '.join(few)}"
    if harmed:
        reason = f"may be harmed by more than {margin:g}: {', '.join(harmed)}"
    return Section(
        name="groups",
        title=title,
        question="harms",
        status=worst(line.status for line in lines if line.status),
        reason=reason,
        interval=ONE_SIDED,
        lines=lines,
        notes=("a persona with too little data keeps the policy that it had",) if few else (),
    )


def _line(row: Row) -> Line:
    over = _OVER.get(row.group)
    by = _BY.get(row.estimator, row.estimator)
    return Line(
        group=row.group if over is None else f"{over} ({by})",
        metric=_GAIN,
        estimate=row.estimate,
        low=row.low,
        high=row.high,
        n=row.n,
        users=row.users,
        ess=row.ess,
        bound=row.bound,
        status=_OF_ROW[row.status],
        note=row.note or row.failure,
    )


def adapters_section(reports: Mapping[str, TrainReport]) -> Section:
    """What each adapter gains over the base model on users that it did not learn from.

    An adapter passes when the 95 % interval of its gain lies above 0.
    """
    title = "Do the adapters write as these users were answered well?"
    if not reports:
        return not_measured("adapters", title, "helps", "the release holds no adapters")
    lines = tuple(
        Line(
            group=f"adapter/{name}",
            metric="held-out gain, nats a reply token",
            estimate=report.gain,
            low=report.gain_low,
            high=report.gain_high,
            n=report.held_out,
            users=report.held_out_users,
            bound=0.0,
            status="passed" if report.gain_low > 0 else "refused",
            note="" if report.gain_low > 0 else "no held-out gain: its interval does not exclude 0",
        )
        for name, report in reports.items()
    )
    bad = [line.group.removeprefix("adapter/") for line in lines if line.status == "refused"]
    reason = f"no gain shown: {', '.join(bad)}" if bad else "every adapter gains on held-out users"
    return Section(
        name="adapters",
        title=title,
        question="helps",
        status="refused" if bad else "passed",
        reason=reason,
        interval=_TWO_SIDED,
        lines=lines,
        notes=("a gain in likelihood of replies that were rated well is no gain in wellbeing",),
    )
