"""The gate shown at work: an honest gain and a planted harm, from one log whose truth is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import GateSettings, Row, Verdict
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.policies import load_dataset
from rapport.pipeline.verdicts import evidence_of
from rapport.policy.dataset import PolicyDataset
from rapport.simulation import logs
from rapport.simulation.planting import tilted, true_gain
from rapport.simulation.truth import expected_over

GAIN, HARM = 0.03, 0.05
"""Reward units: what both policies gain on average, and what one of them takes from a persona."""
AVERAGE = "average"


@dataclass(frozen=True)
class Shown:
    """One policy before the gate, and its true gains by group (`AVERAGE` or a persona)."""

    name: str
    verdict: Verdict
    true: dict[str, float]

    def row(self, group: str) -> Row:
        """The gate's row on a group."""
        wanted = "overall" if group == AVERAGE else f"persona/{group}"
        return next(r for r in self.verdict.rows if (r.group, r.estimator) == (wanted, "dr"))


@dataclass(frozen=True)
class Catch:
    """Two policies with the same average gain; `harmful` takes from `victim` what it gives others.

    Which persona that is makes no difference: it is the one with the fewest decisions.
    """

    honest: Shown
    harmful: Shown
    victim: str


def catch_harm_in(
    home: Home, lake: Lake, log: Path, *, tenant: str, settings: GateSettings
) -> Catch:
    """Show the gate at work on a simulated log that was ingested, embedded and segmented.

    About ten seconds for 30,000 decisions, most of it to read them.

    Args:
        home: Holds the personas.
        lake: Holds the log.
        log: The simulated log's folder, with the truth beside it.
        tenant: Whose log it is in the lake.
        settings: The gate's.

    Raises:
        TooLittleDataError: The log is too small to judge anything.
        DataError: Its people are too much alike for such gains and harms.
    """
    data = load_dataset(lake, home, tenant=tenant)
    truth = logs.read(log).decision_truth
    place = {decision: row for row, decision in enumerate(truth["decision_id"].to_list())}
    found = np.array([place.get(decision, -1) for decision in data.decision_id.tolist()])
    # Decisions that were served since are in the lake, and in no simulated log.
    return catch_harm(
        data.rows(found >= 0),
        expected_over(truth, data.layout.arms)[found[found >= 0]],
        settings=settings,
    )


def catch_harm(data: PolicyDataset, expected: FloatArray, *, settings: GateSettings) -> Catch:
    """Plant two policies in a log and let the gate judge them.

    Args:
        data: Decisions of all users; the gate's are judged, the others teach its reward model.
        expected: [N, A] true expected reward of every arm, nan where it is not served.
        settings: The gate's.
    """
    rows = data.part("gate")
    place = {decision: row for row, decision in enumerate(data.decision_id.tolist())}
    truth = expected[[place[decision] for decision in rows.decision_id.tolist()]]
    names, counts = np.unique(rows.persona, return_counts=True)
    victim = str(names[counts.argmin()])
    taken = HARM * counts.min()
    given = (GAIN * len(rows) + taken) / max(len(rows) - counts.min(), 1)
    evidence = evidence_of(data, seed=settings.seed)
    plans = {
        "honest": dict.fromkeys(names.tolist(), GAIN),
        "harmful": {name: -HARM if name == victim else given for name in names.tolist()},
    }
    shown = {
        name: _shown(name, evidence, rows, truth, gains=gains, settings=settings)
        for name, gains in plans.items()
    }
    return Catch(shown["honest"], shown["harmful"], victim)


def _shown(
    name: str,
    evidence: Evidence,
    rows: PolicyDataset,
    truth: FloatArray,
    *,
    gains: dict[str, float],
    settings: GateSettings,
) -> Shown:
    persona, logging = rows.persona, rows.probabilities
    target = logging.copy()
    for group, gain in gains.items():
        own = persona == group
        target[own] = tilted(logging[own], truth[own], rows.situation.agent[own], gain=gain)
    made = true_gain(logging, truth, target)
    true = {group: float(made[persona == group].mean()) for group in gains}
    return Shown(name, gate(evidence, target, settings), {AVERAGE: float(made.mean()), **true})
