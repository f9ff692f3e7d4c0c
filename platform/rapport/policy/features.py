"""What the policy sees: the state of a user in a conversation, and its cross with an arm.

`features` is the one function that training and serving share; `feature_matrix` is the same for
many states and arms at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.arms import agents, arm_names, load_menu
from rapport.errors import UnknownNameError

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

EMOTION_GROUPS: Mapping[str, tuple[str, ...]] = {
    "warmth": ("admiration", "approval", "caring", "gratitude", "love", "pride", "relief"),
    "joy": ("amusement", "desire", "excitement", "joy", "optimism"),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "anger": ("anger", "annoyance", "disapproval", "disgust"),
    "fear": ("fear", "nervousness"),
    "confusion": ("confusion", "curiosity", "realization", "surprise"),
}
"""Groups of the GoEmotions labels; an affect model may know only some of them."""

TURN_CAP = 20
NO_ARM = -1
_SENTIMENT_AFTER = 2  # columns of a state between the posterior and the sentiment
_FULL_EVIDENCE = 50.0  # effective turns after which a posterior hardly moves


@dataclass(frozen=True)
class Layout:
    """Names behind the columns of states, arms and features; part of every saved policy."""

    personas: tuple[str, ...]
    agents: tuple[str, ...]
    arms: tuple[str, ...]

    @classmethod
    def of(cls, personas: Sequence[str]) -> "Layout":
        """Layout over the shipped agents and arms."""
        return cls(tuple(personas), tuple(agents()), arm_names())

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the S state columns."""
        return (
            *(f"persona:{name}" for name in self.personas),
            *("margin", "evidence", "sentiment", "curve"),
            *(f"emotion:{name}" for name in EMOTION_GROUPS),
            "turn",
            *(f"agent:{name}" for name in self.agents),
        )

    @property
    def size(self) -> int:
        """Number D of feature columns: state, arm, and persona, sentiment, agent by arm."""
        crossed = len(self.personas) + 1 + len(self.agents)
        return len(self.states) + len(self.arms) * (1 + crossed)

    def served(self, agent: IntArray) -> BoolArray:
        """[N, A] arms a reply of each row's agent may be given under."""
        return self._of_menus(agent, lambda arm: arm.serve)

    def safe(self, agent: IntArray) -> BoolArray:
        """[N, A] arms that may be drawn at random for each row's agent."""
        return self._of_menus(agent, lambda arm: arm.serve and arm.safe_to_explore)

    def agent_index(self, names: Sequence[str]) -> IntArray:
        """[N] positions of agents in this layout.

        Raises:
            UnknownNameError: No menu is known for an agent.
        """
        unknown = set(names) - set(self.agents)
        if unknown:
            raise UnknownNameError("agent", min(unknown), self.agents)
        return np.array([self.agents.index(name) for name in names], dtype=np.intp)

    def arm_index(self, names: Sequence[str | None]) -> IntArray:
        """[N] positions of arms in this layout, `NO_ARM` for none or an arm it does not know."""
        place = {name: index for index, name in enumerate(self.arms)}
        return np.array([place.get(name or "", NO_ARM) for name in names], dtype=np.intp)

    def _of_menus(self, agent: IntArray, holds: Any) -> BoolArray:  # noqa: ANN401 - Arm -> bool
        table = np.zeros((len(self.agents), len(self.arms)), dtype=bool)
        for row, name in enumerate(self.agents):
            names = [arm.name for arm in load_menu(name).arms if holds(arm)]
            table[row, self.arm_index(names)] = True
        return np.asarray(table[agent])


@dataclass(frozen=True)
class Situation:
    """What is known when N replies are decided on; every array has one row a decision."""

    posterior: FloatArray
    """[N, K] probability of each persona, rows sum to 1."""
    n_eff: FloatArray
    """[N] turns the posterior rests on, decayed by age, >= 0."""
    sentiment: FloatArray
    """[N] of the user's message, in [-1, 1]."""
    curve: FloatArray
    """[N] sentiment curve after that message, in [-1, 1]."""
    emotion: FloatArray
    """[N, G] probability of each emotion group of the message."""
    turn_index: IntArray
    """[N] of the reply within its conversation, from 0."""
    agent: IntArray
    """[N] position of the agent in the layout."""
    previous_arm: IntArray
    """[N] arm of the reply before in this conversation, `NO_ARM` at its start."""
    message: Float32Array
    """[N, C] vector of the user's message."""

    def __len__(self) -> int:
        return len(self.n_eff)

    def rows(self, keep: NDArray[Any]) -> "Situation":
        """Some of the rows, by mask or index."""
        return replace(self, **{f.name: getattr(self, f.name)[keep] for f in fields(self)})


def group_emotions(probability: FloatArray, names: Sequence[str]) -> FloatArray:
    """Sum label probabilities [N, E] into the [N, G] emotion groups, each capped at 1."""
    summed = [
        probability[:, [column for column, name in enumerate(names) if name in labels]].sum(axis=1)
        for labels in EMOTION_GROUPS.values()
    ]
    return np.asarray(np.minimum(np.stack(summed, axis=1), 1.0))


def states(layout: Layout, situation: Situation) -> Float32Array:
    """State vectors [N, S], all columns within about [-1, 1], in the order of `layout.states`."""
    ranked = np.sort(situation.posterior, axis=1)
    margin = ranked[:, -1] - (ranked[:, -2] if ranked.shape[1] > 1 else 0.0)
    columns = [
        situation.posterior,
        margin[:, None],
        (np.log1p(situation.n_eff) / np.log1p(_FULL_EVIDENCE))[:, None],
        situation.sentiment[:, None],
        situation.curve[:, None],
        situation.emotion,
        (np.minimum(situation.turn_index, TURN_CAP) / TURN_CAP)[:, None],
        np.eye(len(layout.agents))[situation.agent],
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def feature_matrix(
    layout: Layout, state: Float32Array, shares: Float32Array | None = None
) -> Float32Array:
    """Features of N states under M arms or candidates.

    A candidate counts as the mixture of arms its text shows, so features of a pure arm and of a
    text that shows only this arm are the same.

    Args:
        layout: Names of the columns.
        state: [N, S] from `states`.
        shares: [M, A] or [N, M, A] share of each arm in each candidate, rows sum to 1; absent,
            the A pure arms.

    Returns:
        [N, M, D]: the state, the shares, and shares crossed with posterior, sentiment and agent.
    """
    if shares is None:
        shares = np.eye(len(layout.arms), dtype=np.float32)
    n = len(state)
    shares = np.broadcast_to(shares, (n, *shares.shape[-2:]))
    many = shares.shape[1]
    crossed = crossing(layout, state)[:, None, :, None] * shares[:, :, None, :]
    repeated = np.broadcast_to(state[:, None, :], (n, many, state.shape[1]))
    return np.concatenate([repeated, shares, crossed.reshape(n, many, -1)], axis=2)


def crossing(layout: Layout, state: Float32Array) -> Float32Array:
    """[N, C] what of a state is crossed with the shares: posterior, sentiment and agent."""
    personas, agents = len(layout.personas), len(layout.agents)
    sentiment = personas + _SENTIMENT_AFTER
    parts = state[:, :personas], state[:, sentiment : sentiment + 1], state[:, -agents:]
    return np.concatenate(parts, axis=1)


def features(
    layout: Layout, state: Float32Array, arm: str, candidate: Mapping[str, float] | None = None
) -> Float32Array:
    """Features [D] of one state [S] and one possible reply.

    Args:
        layout: Names of the columns.
        state: One row of `states`.
        arm: Arm the reply is given under.
        candidate: Share of each arm that its text shows, where a text exists; it then counts
            instead of the arm it was asked for.
    """
    shown = candidate or {arm: 1.0}
    shares = np.zeros((1, len(layout.arms)), dtype=np.float32)
    shares[0, layout.arm_index(list(shown))] = list(shown.values())
    return np.asarray(feature_matrix(layout, state[None], shares)[0, 0])
