"""What the best kind of reply would have earned more, where a simulated log's truth is known."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.policy.dataset import PolicyDataset
from rapport.report import figures
from rapport.report.blocks import Figure, Section, Table
from rapport.report.facts import Facts
from rapport.report.outcomes import means
from rapport.simulation import logs
from rapport.simulation.truth import expected_over

TRUTH = "truth"
"""Under this name a demo keeps which folder of the work folder holds its log."""
_BINS = 8
_UNIT = "regret, reward units a decision"


@dataclass(frozen=True)
class _True:
    """Gate users' simulated decisions, and what is true of them."""

    rows: PolicyDataset
    chances: NDArray[np.float64]
    """[N, A] of the policy that serves."""
    expected: NDArray[np.float64]
    """[N, A] true expected reward of each arm, nan where it is not served."""
    plain: NDArray[np.float64]
    """[N] that of a plain reply, as the control group gets."""
    day: NDArray[np.float64]
    """[N] days since the first of them."""

    @property
    def earned(self) -> dict[str, NDArray[np.float64]]:
        """[N] true expected reward of what each policy does."""
        known = np.nan_to_num(self.expected)
        greedy = np.eye(known.shape[1])[self.chances.argmax(axis=1)]
        logged = np.nan_to_num(self.rows.probabilities)
        return {
            "control": self.plain,
            "the log's policy": (known * logged).sum(axis=1),
            "the release": (known * self.chances).sum(axis=1),
            "the release, without chance": (known * greedy).sum(axis=1),
        }


def regret(facts: Facts) -> Section | None:
    """The section; none but after a demo on a simulated log."""
    found = _true(facts)
    if found is None:
        return None
    best = np.nanmax(found.expected, axis=1)
    users, title = found.rows.user, "How far from the best?"
    lost = {name: best - earned for name, earned in found.earned.items()}
    overall = {
        name: means(np.full(len(users), name), values, users) for name, values in lost.items()
    }
    lead = [
        "This log was simulated, so it is known what each kind of reply would have earned with "
        f"each person at each moment: at best {best.mean():+.3f} reward units a decision. Regret "
        "is what a policy stays below that, on decisions of users that taught it nothing.",
    ]
    table = Table(
        "True rewards and regret, reward units a decision, with 95 % intervals over users",
        ("policy", "true reward", "regret", "95 %"),
        [
            (name, f"{found.earned[name].mean():+.3f}", f"{row['value']:.3f}",
             f"{row['low']:.3f} to {row['high']:.3f}")
            for name, rows in overall.items()
            for row in rows.iter_rows(named=True)
        ],
    )  # fmt: skip
    return Section(title, lead, [_plot(found, lost), table])


def _plot(found: _True, lost: dict[str, NDArray[np.float64]]) -> Figure:
    edges = np.quantile(found.day, np.linspace(0, 1, _BINS + 1)[1:-1])
    place = np.searchsorted(edges, found.day, side="right")
    labels = np.array([f"{each:02d}" for each in place.tolist()], dtype=np.str_)
    middle = {str(label): float(found.day[labels == label].mean()) for label in np.unique(labels)}
    parts = [
        means(labels, values, found.rows.user).with_columns(policy=pl.lit(name))
        for name, values in lost.items()
    ]
    numbers = pl.concat(parts).with_columns(day=pl.col("label").replace_strict(middle))
    told = figures.Told(
        "regret",
        "Mean regret by time, with 95 % intervals over users; the control group gets a plain "
        f"reply; n {len(found.rows):,} decisions of gate users",
        "Mean regret: " + ", ".join(f"{name} {each.mean():.3f}" for name, each in lost.items()),
    )
    axes = ("days since the log began", _UNIT)
    return figures.courses(told, numbers, group="policy", x="day", axes=axes)


def _true(facts: Facts) -> _True | None:
    kept, rows, scores = facts.kept(TRUTH), facts.gate, facts.scores
    if kept is None or rows is None or scores is None:
        return None
    try:
        truth = logs.read(facts.home.work / kept["log"]).decision_truth
    except DataError:  # its folder was removed since
        return None
    place = {decision: row for row, decision in enumerate(truth["decision_id"].to_list())}
    found = np.array([place.get(decision, -1) for decision in rows.decision_id.tolist()])
    mine = found >= 0
    if not mine.any():
        return None
    of = found[mine]
    return _True(
        rows=rows.rows(mine),
        chances=scores.probability[mine],
        expected=expected_over(truth, rows.layout.arms)[of],
        plain=truth["control_reward"].to_numpy()[of],
        day=_days(facts, rows.rows(mine)),
    )


def _days(facts: Facts, rows: PolicyDataset) -> NDArray[np.float64]:
    known = facts.events("decisions", "decision_id", "ts").unique("decision_id")
    asked = pl.DataFrame({"decision_id": rows.decision_id.tolist()})
    found = asked.join(known, on="decision_id", how="left", maintain_order="left")["ts"]
    since = (found - found.min()).dt.total_seconds()
    return np.asarray(since.fill_null(0.0).to_numpy() / 86_400.0, dtype=np.float64)
