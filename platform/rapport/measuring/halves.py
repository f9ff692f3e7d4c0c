"""What a reward is worth whose settings were chosen on other dialogues than it is measured on.

Settings that were tried on the very dialogues they are measured on look better than they are. Here
they are chosen on one half of the dialogues and measured on the other, both ways.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect.curve import CurveSettings
from rapport.affect.reward import REWARD, RewardSettings
from rapport.measuring.ranks import RESAMPLES, FloatArray, auc, resamples, spearman
from rapport.measuring.result import Measure

Variants = Callable[[pl.DataFrame], pl.DataFrame]
"""Rows of the turns table -> `conversation_id` and a column of rewards for each setting."""

DEALS = 5
"""Times the dialogues are dealt into halves: what one deal chooses is partly luck."""
ALPHAS, CLIPS, START_SCALES = (0.3, 0.45, 0.6, 1.0), (1.0, 1.5, 3.0), (0.2, 0.4, 0.8)
FACTORS = (2.0, 4.0, 8.0)
SUFFIX = "_cross_fitted"
_AUC = "auc_success"


def grid(settings: RewardSettings = REWARD) -> list[tuple[CurveSettings, float]]:
    """Curves and factors on their gain to choose among; the shipped ones are among them."""
    curves = [
        settings.curve.model_copy(update={"alpha": alpha, "clip": clip, "start_scale": start})
        for alpha, clip, start in product(ALPHAS, CLIPS, START_SCALES)
    ]
    return list(product(curves, FACTORS))


@dataclass(frozen=True)
class _Dialogues:
    """N dialogues: what V settings say of each in every kind of reading, and what came of it."""

    rewards: Mapping[str, FloatArray]
    """By kind [N, V]; rows of nan where a dialogue is said nothing of."""
    relief: FloatArray
    """[N]; nan where nobody was asked."""
    failed: FloatArray

    def told(self, name: str) -> NDArray[np.bool_]:
        """[N] dialogues that a metric rests on."""
        known = ~np.isnan(self._rewards(name)[:, 0])
        if name.startswith(_AUC):
            return known
        asked = ~np.isnan(self.relief) & ((self.failed == 0) | (name == "rho_relief"))
        return np.asarray(known & asked)

    def statistic(self, name: str, rows: NDArray[np.int64], setting: int) -> float:
        """A metric, named without its suffix, on some of the dialogues."""
        rows = rows[self.told(name)[rows]]
        value = self._rewards(name)[rows, setting]
        if name.startswith(_AUC):
            return auc(value, self.failed[rows])
        return spearman(value, self.relief[rows])

    def _rewards(self, name: str) -> FloatArray:
        return self.rewards[name.removeprefix(_AUC) if name.startswith(_AUC) else ""]


def cross_fitted(
    outcomes: pl.DataFrame, rewards: Mapping[str, pl.DataFrame], *, draws: int = RESAMPLES
) -> dict[str, Measure]:
    """Validity of settings that were chosen by their correlation with relief on the other half.

    Estimate and ends of the 95 % interval are means over `DEALS` deals; an interval is by bootstrap
    over dialogues and takes what was chosen on each half as given.

    Args:
        outcomes: `conversation_id`, `failed`, `relief`.
        rewards: As `Variants` gives them, by kind of reading; the empty kind is the texts as they
            are.
        draws: Resamples of dialogues for the intervals.

    Returns:
        `rho_relief`, `rho_relief_retained`, and `auc_success` of each kind, with `SUFFIX`.
    """
    found = _dialogues(outcomes, rewards)
    generator = np.random.default_rng(0)
    deals = [_deal(found, generator.permutation(outcomes.height) % 2 == 0) for _ in range(DEALS)]
    names = ("rho_relief", "rho_relief_retained", *(f"{_AUC}{kind}" for kind in rewards))
    told = {}
    for name in names:
        ends = np.array([_ends(found, name, deal, draws) for deal in deals])
        estimate, low, high = ends.mean(axis=0).tolist()
        told[f"{name}{SUFFIX}"] = Measure(estimate, low, high, int(found.told(name).sum()))
    return told


Deal = tuple[tuple[NDArray[np.bool_], int], tuple[NDArray[np.bool_], int]]
"""Each half of the dialogues [N] with the setting that did best on the other."""


def _deal(found: _Dialogues, half: NDArray[np.bool_]) -> Deal:
    return (half, _best(found, ~half)), (~half, _best(found, half))


def _best(found: _Dialogues, half: NDArray[np.bool_]) -> int:
    rows, settings = np.flatnonzero(half), range(found.rewards[""].shape[1])
    return int(np.nanargmax([found.statistic("rho_relief", rows, each) for each in settings]))


def _ends(found: _Dialogues, name: str, deal: Deal, draws: int) -> tuple[float, float, float]:
    """Mean of both halves, and the ends of its interval."""

    def mean(rows: NDArray[np.int64]) -> float:
        return sum(found.statistic(name, rows[half[rows]], best) for half, best in deal) / 2

    n = len(found.failed)
    low, high = np.nanquantile([mean(rows) for rows in resamples(n, draws)], [0.025, 0.975])
    return mean(np.arange(n)), float(low), float(high)


def _dialogues(outcomes: pl.DataFrame, rewards: Mapping[str, pl.DataFrame]) -> _Dialogues:
    ids = outcomes.select("conversation_id")
    table = {
        kind: ids.join(read, on="conversation_id", how="left", maintain_order="left")
        for kind, read in rewards.items()
    }
    return _Dialogues(
        rewards={kind: _numbers(each.drop("conversation_id")) for kind, each in table.items()},
        relief=_numbers(outcomes.select("relief"))[:, 0],
        failed=_numbers(outcomes.select("failed"))[:, 0],
    )


def _numbers(table: pl.DataFrame) -> FloatArray:
    return np.asarray(table.cast(pl.Float64).fill_null(float("nan")).to_numpy())
