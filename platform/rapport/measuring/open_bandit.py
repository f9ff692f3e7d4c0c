"""Estimators on the Open Bandit data: each policy's value from the other's log, beside the truth.

Both policies were run, so what each really earned is known: the mean click of its own log. A row
is a shown item; nothing tells users apart, so intervals resample rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import ConfigError, DataError
from rapport.evaluation.estimators import (
    Log,
    dr_terms,
    importance_weights,
    ips_terms,
    logging_terms,
    snips_terms,
)
from rapport.evaluation.intervals import Bootstrap, Estimate, Terms, estimates
from rapport.evaluation.verdict import GateSettings
from rapport.measuring.result import Group, Measure, Result, existing

POLICIES = ("random", "bts")
BY = Bootstrap(resamples=1000)
LIMITS = GateSettings()
_COLUMNS = ("item_id", "position", "click", "propensity_score")
_PRIOR = 50.0
"""Rows at which an item's own clicks count as much as everybody's; clicks are rare."""
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Side:
    """One policy's log of one campaign."""

    log: Log
    position: NDArray[np.intp]
    items: int

    def shares(self, positions: int) -> FloatArray:
        """[P, A] how often each item was shown at each position; a row sums to 1."""
        counts = np.zeros((positions, self.items))
        np.add.at(counts, (self.position, self.log.action), 1.0)
        counts += counts.sum(axis=1, keepdims=True) == 0.0  # an unused position: evenly
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def measure_open_bandit(folder: Path) -> Result:
    """Estimate each policy from the other's log, for every campaign in a folder.

    Args:
        folder: Holds `random/<campaign>/<campaign>.csv[.gz]` and the same under `bts`.

    Returns:
        Groups `random_to_bts/<campaign>` and back with `ips`, `snips`, `dr`, `ess`, `max_weight`,
        `on_policy` and `snips_minus_on_policy`. A group under the gate's limit of the effective
        sample is refused: its point estimates stay, its intervals do not.

    Raises:
        ConfigError: No such folder, or not laid out so.
        DataError: A file lacks a column, or every row that could be used.
    """
    campaigns = sorted(path.name for path in (existing(folder) / POLICIES[0]).glob("*/"))
    if not campaigns:
        raise ConfigError(
            "--data", folder.name, "give Open Bandit's folder, with random/<campaign>"
        )
    groups, rows, skipped = {}, 0, 0
    for campaign in campaigns:
        frames = {policy: _read(folder, policy, campaign) for policy in POLICIES}
        items = 1 + max(int(frame["item_id"].max()) for frame, _ in frames.values())  # type: ignore[arg-type]
        sides = {name: _side(frame, items) for name, (frame, _) in frames.items()}
        rows += sum(frame.height + lost for frame, lost in frames.values())
        skipped += sum(lost for _, lost in frames.values())
        for here, there in (POLICIES, POLICIES[::-1]):
            groups[f"{here}_to_{there}/{campaign}"] = _crossed(sides[here], sides[there])
    return Result("ope", folder, rows, skipped, rows - skipped, groups=groups)


def _crossed(here: _Side, there: _Side) -> Group:
    positions = 1 + int(max(here.position.max(), there.position.max()))
    target = there.shares(positions)[here.position]
    log, q_hat = here.log, _fitted(here)
    terms: Mapping[str, Terms] = {
        "ips": ips_terms(log, target),
        "snips": snips_terms(log, target),
        "dr": dr_terms(log, target, q_hat),
    }
    known = logging_terms(there.log)
    # Other people saw the other policy: their rows are resampled by themselves.
    apart = Terms(known.numerator, known.denominator, known.user + len(log), known.weight)
    gap = terms["snips"].minus_apart(apart)
    found = dict(
        zip([*terms, "gap", "on"], estimates([*terms.values(), gap, apart], BY), strict=True)
    )
    weight = importance_weights(log, target)
    refused = _too_thin(found["snips"].ess, len(log))
    metrics = {name: _measure(found[name], bare=refused is not None) for name in terms}
    metrics |= {
        "ess": Measure(found["snips"].ess, None, None, len(log)),
        "max_weight": Measure(float(weight.max()), None, None, len(log)),
        "on_policy": _measure(found["on"], bare=False),
        "snips_minus_on_policy": _measure(found["gap"], bare=refused is not None),
    }
    return Group(metrics, refused)


def _too_thin(ess: float, n: int) -> str | None:
    needed = max(LIMITS.min_ess, LIMITS.ess_share * n)
    return None if ess >= needed else f"effective sample {ess:.0f} is under {needed:.0f} rows"


def _measure(found: Estimate, *, bare: bool) -> Measure:
    low, high = (None, None) if bare else (found.low, found.high)
    return Measure(found.value, low, high, found.n)


def _fitted(side: _Side) -> FloatArray:
    """[N, A] clicks expected of each item, each half of the rows by the other half's."""
    log, half = side.log, np.arange(len(side.log)) % 2 == 0
    q_hat = np.empty((len(log), side.items))
    for rows, others in ((half, ~half), (~half, half)):
        shown = np.bincount(log.action[others], minlength=side.items)
        clicked = np.bincount(log.action[others], log.reward[others], minlength=side.items)
        everybody = log.reward[others].mean()
        q_hat[rows] = (clicked + _PRIOR * everybody) / (shown + _PRIOR)
    return q_hat


def _side(frame: pl.DataFrame, items: int) -> _Side:
    log = Log(
        action=frame["item_id"].to_numpy().astype(np.intp),
        reward=frame["click"].to_numpy().astype(np.float64),
        propensity=frame["propensity_score"].to_numpy().astype(np.float64),
        user=np.arange(frame.height),
    )
    return _Side(log, frame["position"].to_numpy().astype(np.intp) - 1, items)


def _read(folder: Path, policy: str, campaign: str) -> tuple[pl.DataFrame, int]:
    """Rows of one file that can be used, and how many others there are."""
    base = folder / policy / campaign / f"{campaign}.csv"
    path = base if base.exists() else base.with_suffix(".csv.gz")
    try:
        frame = pl.read_csv(path, columns=list(_COLUMNS))
    except (OSError, pl.exceptions.PolarsError) as error:
        where = f"{policy}/{campaign}/{path.name}"
        raise DataError(
            f"{where} cannot be read ({type(error).__name__})",
            f"give a CSV with the columns {', '.join(_COLUMNS)}",
        ) from error
    score = pl.col("propensity_score")
    good = frame.drop_nulls().filter(
        (score > 0) & (score <= 1) & pl.col("position").is_between(1, 99)
    )
    if not good.height:
        raise DataError(f"{policy}/{campaign} holds no usable row", "give Open Bandit's own files")
    return good, frame.height - good.height
