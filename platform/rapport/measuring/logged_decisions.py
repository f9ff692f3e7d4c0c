"""A policy's value on logged decisions from a file, by every estimator, overall and by group.

The decisions stand as `rapport ingest decisions-parquet` takes them. The policy is a file too: what
it would do in each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.cross_fitting import cross_fitted, ridge
from rapport.evaluation.doubts import ess_needed
from rapport.evaluation.estimators import Log, logging_terms, snips_terms
from rapport.evaluation.intervals import Bootstrap, Estimate, estimate
from rapport.evaluation.valuation import Valuation, valuation
from rapport.evaluation.verdict import OBSERVED
from rapport.measuring.result import Group, Measure, Result, existing

BY = Bootstrap(resamples=1000)
OVERALL = "overall"
DECISION_COLUMNS = (
    "decision_id", "user_id", "candidate_arms", "candidate_probabilities", "action_index", "reward",
)  # fmt: skip
GROUP_COLUMNS = ("persona_id", "age_band", "jurisdiction", "language")
_NEAR = 1e-6
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """N decisions among at most M candidates, and what a policy would do in each."""

    log: Log
    target: FloatArray
    """[N, A] probability of each arm under the policy."""
    labels: dict[str, NDArray[np.str_]]
    """Kind of group to the label of each decision; the empty one is no group."""
    read: int
    """Decisions in the file."""


def measure_policy(data: Path, policy: Path) -> Result:
    """Value a policy on logged decisions.

    Args:
        data: Parquet with `decision_id`, `user_id`, `candidate_arms`, `candidate_probabilities`,
            `action_index` and `reward` (-1 to 1, null where nothing came back); decisions group by
            `persona_id`, `age_band`, `jurisdiction`, `language` where these are columns.
        policy: Parquet or CSV. With a column `decision_id` also `candidate_probabilities`, a list
            in the order of that decision's candidates; or `arm` and `probability` for a policy
            that is the same everywhere, shared out anew among the arms a decision offers.

    Returns:
        Groups `overall` and `<kind>/<label>` with every estimator, `ess`, `max_weight`,
        `on_policy` and `snips_minus_on_policy`; where feedback is missing `dr_weighted`,
        `dr_at_worst` and `dr_at_best` as well. A group under the gate's limit of the effective
        sample is refused: its point estimates stay, its intervals do not.

    Raises:
        ConfigError: No such file.
        DataError: A column is missing, or the policy does not fit the decisions.
        TooLittleDataError: Fewer than two users reported anything.
    """
    found = read_decisions(existing(data), existing(policy))
    q_hat = _predicted(found)
    groups, notes = {}, []
    for name, rows in _members(found).items():
        log, target = found.log.rows(rows), found.target[rows]
        try:
            valued = valuation(log, target, q_hat[rows], by=BY)
        except TooLittleDataError:
            if name == OVERALL:
                raise
            notes.append(f"{name}: fewer than two users reported anything, so it is left out")
            continue
        groups[name] = _group(valued, log, target)
        notes += [f"{name}: {doubt}" for doubt in valued.doubts]
    n = len(found.log)
    return Result(
        "ope",
        data,
        rows=found.read,
        skipped=found.read - n,
        n=n,
        groups=groups,
        notes=tuple(notes),
    )


def read_decisions(data: Path, policy: Path) -> Decisions:
    """Read both files and lay them out by arm; decisions without a usable row are left out."""
    frame = _frame(data, DECISION_COLUMNS)
    read = frame.height
    frame = frame.filter(
        pl.all_horizontal(pl.col(DECISION_COLUMNS[:-1]).is_not_null())
        & (pl.col("candidate_arms").list.len() == pl.col("candidate_probabilities").list.len())
        & pl.col("action_index").is_between(0, pl.col("candidate_arms").list.len().cast(int) - 1)
        & ((pl.col("candidate_probabilities").list.sum() - 1.0).abs() <= _NEAR)
        & (pl.col("candidate_probabilities").list.get(pl.col("action_index"), null_on_oob=True) > 0)
        & pl.col("reward").fill_null(0.0).is_between(-1.0, 1.0)
    )
    if not frame.height:
        raise DataError(f"{data.name} holds no usable decision", "see the columns in --help")
    arms = sorted(set(frame["candidate_arms"].explode().to_list()))
    logging = _by_arm(frame, frame["candidate_probabilities"], arms)
    return Decisions(
        log=_log(frame, logging, arms),
        target=_target(frame, policy, arms),
        labels={
            kind: frame[kind].cast(pl.String).fill_null("").to_numpy().astype(np.str_)
            for kind in GROUP_COLUMNS
            if kind in frame.columns
        },
        read=read,
    )


def _log(frame: pl.DataFrame, logging: FloatArray, arms: Sequence[str]) -> Log:
    taken = frame["candidate_arms"].list.get(frame["action_index"])
    action = np.searchsorted(np.array(arms), taken.to_numpy().astype(np.str_)).astype(np.intp)
    return Log(
        action=action,
        reward=frame["reward"].cast(pl.Float64).fill_null(float("nan")).to_numpy().copy(),
        propensity=logging[np.arange(len(action)), action],
        user=frame["user_id"].cast(pl.String).to_numpy().astype(np.str_),
        probabilities=logging,
    )


def _target(frame: pl.DataFrame, policy: Path, arms: Sequence[str]) -> FloatArray:
    stated = _frame(policy)
    if {"decision_id", "candidate_probabilities"} <= set(stated.columns):
        own = stated.select("decision_id", theirs="candidate_probabilities")
        joined = frame.join(own, on="decision_id", how="left", maintain_order="left")
        if joined.height != frame.height or joined["theirs"].null_count():
            raise DataError(
                f"{policy.name} does not state each decision once", "write one row a decision"
            )
        if (joined["theirs"].list.len() != joined["candidate_arms"].list.len()).any():
            raise DataError(
                f"{policy.name} and the decisions differ in candidates",
                "keep the order and number of candidate_arms",
            )
        return _whole(_by_arm(frame, joined["theirs"], arms), policy)
    if {"arm", "probability"} <= set(stated.columns):
        share = dict(zip(stated["arm"].to_list(), stated["probability"].to_list(), strict=True))
        offered = _by_arm(frame, None, arms) > 0
        shared = offered * np.array([float(share.get(arm) or 0.0) for arm in arms])
        return _whole(shared / np.maximum(shared.sum(axis=1, keepdims=True), 1e-300), policy)
    raise DataError(
        f"{policy.name} states no policy",
        "give the columns decision_id and candidate_probabilities, or arm and probability",
    )


def _whole(target: FloatArray, policy: Path) -> FloatArray:
    total = target.sum(axis=1, keepdims=True)
    if not ((np.abs(total - 1.0) <= _NEAR).all() and (target >= 0).all()):
        raise DataError(
            f"{policy.name} gives a decision probabilities that do not sum to 1",
            "cover the arms of every decision, each from 0 to 1",
        )
    return np.asarray(target / total)


def _by_arm(frame: pl.DataFrame, values: pl.Series | None, arms: Sequence[str]) -> FloatArray:
    """[N, A] values of the candidates added up by arm; 1 each where none are given."""
    lengths = frame["candidate_arms"].list.len().to_numpy()
    row = np.repeat(np.arange(frame.height), lengths)
    names = frame["candidate_arms"].explode().to_numpy().astype(np.str_)
    place = row * len(arms) + np.searchsorted(np.array(arms), names)
    weights = None if values is None else values.explode().cast(pl.Float64).to_numpy()
    total = np.bincount(place, weights=weights, minlength=frame.height * len(arms))
    return np.asarray(total.reshape(frame.height, len(arms)), dtype=np.float64)


def _predicted(found: Decisions) -> FloatArray:
    """Rewards by arm and group, by a model of other users."""
    shown = [
        (values == label).astype(np.float64)
        for values in found.labels.values()
        for label in np.unique(values)[1:]
    ]
    context = np.stack(shown, axis=1) if shown else np.zeros((len(found.log), 0))
    return cross_fitted(found.log, context, ridge(arms=found.target.shape[1]))


def _members(found: Decisions) -> dict[str, NDArray[np.bool_]]:
    members = {OVERALL: np.ones(len(found.log), dtype=bool)}
    for kind, values in found.labels.items():
        members |= {f"{kind}/{each}": values == each for each in np.unique(values) if each}
    return members


def _group(valued: Valuation, log: Log, target: FloatArray) -> Group:
    needed = ess_needed(valued.reported)
    refused = (
        None
        if valued.ess >= needed
        else f"effective sample {valued.ess:.0f} is under {needed:.0f} rows"
    )
    heard = ~np.isnan(log.reward)
    seen = log.rows(heard)
    gap = estimate(snips_terms(seen, target[heard]).minus(logging_terms(seen)), BY)
    found = dict(valued.estimates[OBSERVED])
    found["on_policy"] = found.pop("logging")
    found["snips_minus_on_policy"] = gap
    for reading, every in valued.estimates.items():
        if reading != OBSERVED:
            found[f"dr_{reading.replace(' ', '_')}"] = every["dr"]
    metrics = {name: _measure(each, bare=refused is not None) for name, each in found.items()}
    metrics["on_policy"] = _measure(found["on_policy"], bare=False)
    for name, value in (("ess", valued.ess), ("max_weight", valued.max_weight)):
        metrics[name] = Measure(value, None, None, valued.reported)
    return Group(metrics, refused)


def _measure(found: Estimate, *, bare: bool) -> Measure:
    low, high = (None, None) if bare else (found.low, found.high)
    return Measure(found.value, low, high, found.n)


def _frame(path: Path, needed: Sequence[str] = ()) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path.name} cannot be read ({type(error).__name__})", "give a Parquet file"
        ) from error
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path.name} lacks the column {missing[0]}", f"it needs {', '.join(needed)}"
        )
    return frame
