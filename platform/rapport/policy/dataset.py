"""The rows a policy learns from and is judged on: arrays with one entry a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect.reward import returns
from rapport.errors import DataError
from rapport.evaluation.estimators import Log
from rapport.policy.features import (
    NO_ARM,
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Layout,
    Situation,
    states,
)
from rapport.users.split import Part, part_of

ARM_MODES = ("arm_first", "rerank", "rank")
"""Modes in which a policy chose among arms; only their rows have an arm to learn from."""


_WHOLE = 1e-9
_WINDOW = 10  # rewards that a return sums


@dataclass(frozen=True)
class PolicyDataset:
    """N decisions under one layout; arms are positions in `layout.arms`."""

    layout: Layout
    situation: Situation
    mask: BoolArray
    """[N, A] served arms among the candidates that no guard vetoed."""
    safe: BoolArray
    """[N, A] those that may be drawn at random."""
    explore: BoolArray
    """[N] rows a policy may explore on; False in distress and for protected users."""
    action: IntArray
    """[N] arm taken; `NO_ARM` for control rows."""
    propensity: FloatArray
    """[N] logged probability of the arm taken, in (0, 1]."""
    probabilities: FloatArray
    """[N, A] logged probability of each arm, 0 where it was no candidate."""
    reward: FloatArray
    """[N] in [-1, 1]; nan where nothing came back."""
    user: NDArray[np.str_]
    """[N] keyed user id."""
    usable: BoolArray
    """[N] delivered in full with an arm: only these train or enter estimates."""
    control: BoolArray
    """[N] decisions of the control group, the standing comparison."""
    source: NDArray[np.str_]
    decision_id: NDArray[np.str_]
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """Declared group to its label [N]."""
    shares: Float32Array | None = None
    """[N, M, A] share of each arm that each of M candidates shows, where finished texts were chosen
    among; M stands for A above then. Absent, the candidates are the pure arms."""

    def __len__(self) -> int:
        return len(self.user)

    @property
    def states(self) -> Float32Array:
        """[N, S] as the policy sees them."""
        return states(self.layout, self.situation)

    @property
    def context(self) -> Float32Array:
        """[N, C] vectors of the users' messages."""
        return self.situation.message

    @property
    def persona(self) -> NDArray[np.str_]:
        """[N] name of the likeliest persona of each user at that moment."""
        names = np.array(self.layout.personas, dtype=np.str_)
        return np.asarray(names[self.situation.posterior.argmax(axis=1)])

    @property
    def reported(self) -> BoolArray:
        """[N] rows that something came back for."""
        return ~np.isnan(self.reward)

    episode: NDArray[np.str_] | None = None
    """[N] conversation of each decision; absent, each is one of its own."""

    @property
    def shown(self) -> Float32Array:
        """[N, A] share of each arm in what was taken."""
        if self.shares is not None:
            return np.asarray(self.shares[np.arange(len(self)), self.action])
        return np.eye(len(self.layout.arms), dtype=np.float32)[self.action]

    def rows(self, keep: NDArray[Any]) -> "PolicyDataset":
        """Some of the rows, by mask or index."""
        cut: dict[str, Any] = {
            name: value[keep] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        groups = {kind: labels[keep] for kind, labels in self.groups.items()}
        return replace(self, situation=self.situation.rows(keep), groups=groups, **cut)

    def with_returns(self, gamma: float) -> "PolicyDataset":
        """The same decisions, each with what came after it in its conversation counted in.

        Every reward becomes the mean of itself and the next nine, weighted by `gamma^j`, in units
        of one reward. Rows that were cut out before count nothing. With `gamma` 0, and in
        conversations of one decision, this is the share of its own reward alone.

        Raises:
            DataError: Conversations are not known.
        """
        if gamma == 0.0:
            return self
        if self.episode is None:
            raise DataError("the log has no episode of its decisions", "set gamma to 0")
        _, code = np.unique(self.episode, return_inverse=True)
        order = np.lexsort((self.situation.turn_index, code))
        summed = returns(self.reward[order], code[order], gamma=gamma, window=_WINDOW)
        reward = np.empty_like(summed)
        reward[order] = summed / (gamma ** np.arange(_WINDOW)).sum()
        return replace(self, reward=reward)

    def part(self, *parts: Part) -> "PolicyDataset":
        """Usable rows of the users in the given parts, see `rapport.users.split`."""
        known = {user: part_of(user) in parts for user in np.unique(self.user)}
        return self.rows(self.usable & np.array([known[user] for user in self.user], dtype=bool))

    def log(self) -> Log:
        """The rows as `rapport.evaluation` takes them.

        The vector of probabilities is kept where it is whole: it sums to 1 and agrees with the
        propensity. Where an arm left the menu, or a guard took its place, it is not.
        """
        taken = self.probabilities[np.arange(len(self)), self.action]
        whole = np.abs(self.probabilities.sum(axis=1) - 1.0) <= _WHOLE
        whole &= np.abs(taken - self.propensity) <= _WHOLE
        vectors = np.where(whole[:, None], self.probabilities, np.nan)
        return Log(self.action, self.reward, self.propensity, self.user, probabilities=vectors)

    def joined(self, other: "PolicyDataset") -> "PolicyDataset":
        """Rows of both, for instance of the simulated log and of what was just served.

        Raises:
            DataError: The layouts differ, so columns would not mean the same, or only one has texts
                or conversations.
        """
        if self.layout != other.layout:
            raise DataError("two logs have different layouts", "build both with one persona model")
        for name in ("shares", "episode"):
            if (getattr(self, name) is None) != (getattr(other, name) is None):
                raise DataError(f"one log has {name}, the other none", "learn from one of them")
        kinds = self.groups.keys() & other.groups.keys()
        own, more = vars(self), vars(other)
        arrays: dict[str, Any] = {
            name: np.concatenate([value, more[name]])
            for name, value in own.items()
            if isinstance(value, np.ndarray)
        }
        situation = Situation(
            **{
                name: np.concatenate([value, vars(other.situation)[name]])
                for name, value in vars(self.situation).items()
            }
        )
        groups = {
            kind: np.concatenate([self.groups[kind], other.groups[kind]]) for kind in sorted(kinds)
        }
        return replace(self, situation=situation, groups=groups, **arrays)


@dataclass(frozen=True)
class Readings:
    """What models read from the conversation before each of N decisions, rows as `decisions`."""

    posterior: FloatArray
    """[N, K] from the turns before the reply only."""
    n_eff: FloatArray
    sentiment: FloatArray
    curve: FloatArray
    emotion: FloatArray
    """[N, G], see `group_emotions`."""
    message: Float32Array
    """[N, C] vector of the user's message."""
    explore: BoolArray | None = None
    """[N] False in distress and for protected users; all True where absent."""


def build_dataset(
    layout: Layout, decisions: pl.DataFrame, rewards: pl.DataFrame, *, readings: Readings
) -> PolicyDataset:
    """Assemble a dataset from lake rows.

    Args:
        layout: Persona names in the order of `readings.posterior`.
        decisions: N rows of the decisions table.
        rewards: `decision_id`, `value` (one row a decision, the latest version); decisions
            without a row are silent.
        readings: Models' readings, in the order of `decisions`.

    Raises:
        DataError: Readings and decisions differ in number.
    """
    n = decisions.height
    if not n == len(readings.posterior) == len(readings.message):
        raise DataError("readings and decisions differ in rows", "read once per decision")
    agent = layout.agent_index(decisions["agent_id"].to_list())
    found = _Candidates.of(layout, decisions)
    mask = found.offered & layout.served(agent)
    armed = found.action != NO_ARM
    return PolicyDataset(
        layout=layout,
        situation=_situation(decisions, readings, agent=agent, taken=found.action),
        mask=mask,
        safe=found.offered & layout.safe(agent),
        explore=np.ones(n, dtype=bool) if readings.explore is None else readings.explore,
        action=found.action,
        # A control row had one candidate, hence probability 1.
        propensity=np.where(armed, found.probability[np.arange(n), found.action], 1.0),
        probabilities=found.probability,
        reward=_joined_rewards(decisions, rewards),
        user=_text(decisions["user_id"]),
        usable=_delivered(decisions) & armed & mask.any(axis=1),
        control=(decisions["mode"] == "control").to_numpy(),
        source=_text(decisions["source"]),
        decision_id=_text(decisions["decision_id"]),
        groups=_declared(decisions),
        episode=_text(decisions["episode_id"]),
    )


def _declared(decisions: pl.DataFrame) -> dict[str, NDArray[np.str_]]:
    """Labels [N] of every kind of group that a row declares; the empty label is no group."""
    if "groups" not in decisions.columns:
        return {}
    rows = decisions["groups"].to_arrow().to_pylist()
    labels = [dict(row or ()) for row in rows]
    kinds = sorted({kind for row in labels for kind in row})
    return {
        kind: np.array([row.get(kind) or "" for row in labels], dtype=np.str_) for kind in kinds
    }


def _situation(
    decisions: pl.DataFrame, readings: Readings, *, agent: IntArray, taken: IntArray
) -> Situation:
    return Situation(
        posterior=readings.posterior,
        n_eff=readings.n_eff,
        sentiment=readings.sentiment,
        curve=readings.curve,
        emotion=readings.emotion,
        turn_index=decisions["turn_index"].to_numpy().astype(np.intp),
        agent=agent,
        previous_arm=_previous_arms(decisions, taken),
        message=readings.message,
    )


def _joined_rewards(decisions: pl.DataFrame, rewards: pl.DataFrame) -> FloatArray:
    joined = decisions.select("decision_id").join(
        rewards.select("decision_id", "value"), on="decision_id", how="left", maintain_order="left"
    )
    return joined["value"].to_numpy().astype(np.float64)


def _delivered(decisions: pl.DataFrame) -> BoolArray:
    chosen = decisions["mode"].is_in(list(ARM_MODES))
    return (chosen & (decisions["delivered"] == "full")).to_numpy().astype(bool)


@dataclass(frozen=True)
class _Candidates:
    """Candidate lists as arrays over the arm vocabulary."""

    offered: BoolArray
    probability: FloatArray
    action: IntArray

    @classmethod
    def of(cls, layout: Layout, decisions: pl.DataFrame) -> "_Candidates":
        n, width = decisions.height, len(layout.arms)
        flat = (
            decisions.select("candidates", "action_index")
            .with_row_index("row")
            .with_columns(place=pl.int_ranges(0, pl.col("candidates").list.len()))
            .explode("candidates", "place")
            .unnest("candidates")
        )
        row = flat["row"].to_numpy().astype(np.intp)
        arm = layout.arm_index(flat["arm"].to_list())
        known = arm != NO_ARM
        # Two replies under one arm are one choice of that arm: their probabilities add up.
        probability = np.zeros((n, width))
        values = flat["probability"].to_numpy().astype(np.float64)
        np.add.at(probability, (row[known], arm[known]), values[known])
        offered = np.zeros((n, width), dtype=bool)
        # Vetoed candidates leave before anything is compared, as they did when it was served.
        free = known & flat["guard"].is_null().to_numpy()
        offered[row[free], arm[free]] = True
        action = np.full(n, NO_ARM, dtype=np.intp)
        taken = (flat["place"] == flat["action_index"]).to_numpy()
        action[row[taken]] = arm[taken]
        return cls(offered, probability, action)


def _previous_arms(decisions: pl.DataFrame, taken: IntArray) -> IntArray:
    ordered = (
        decisions.select("episode_id", "turn_index")
        .with_columns(arm=pl.Series(taken))
        .with_row_index("row")
        .sort("episode_id", "turn_index")
        .with_columns(previous=pl.col("arm").shift(1).over("episode_id").fill_null(NO_ARM))
        .sort("row")
    )
    return ordered["previous"].to_numpy().astype(np.intp)


def _text(column: pl.Series) -> NDArray[np.str_]:
    return np.array(column.to_list(), dtype=np.str_)
