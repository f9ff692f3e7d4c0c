"""A run laid out flat: one exchange after the other, with the ids and times of what it left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport.schema import content_id
from rapport.simulation import agents
from rapport.simulation.clock import starts
from rapport.simulation.generation import Step
from rapport.simulation.minds import Minds
from rapport.simulation.settings import SimulationConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Exchanges:
    """A run laid out flat, E = N * T exchanges, user after user and in time order.

    `columns` holds the fields of `Step`, `user` [E] the row of the mind, `at_s` [E] seconds from
    the start of the log, and the ids of what each exchange left.
    """

    config: SimulationConfig
    columns: Mapping[str, NDArray[Any]]
    user: IntArray
    at_s: FloatArray
    user_ids: NDArray[np.object_]
    conversation_ids: NDArray[np.object_]
    journey_ids: NDArray[np.object_]
    message_ids: NDArray[np.object_]
    decision_ids: NDArray[np.object_]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def ids(self, kind: str, rows: IntArray | None = None) -> list[str]:
        """Ids of one kind, one for each exchange or for the given ones."""
        turns, run = self.config.turns, self.config.run_id
        chosen = range(len(self.user)) if rows is None else rows.tolist()
        return [content_id(run, kind, row // turns, row % turns) for row in chosen]

    def times(self, rows: IntArray, *, after_s: FloatArray) -> pa.Array:
        """Timestamps of events a given time after the user's message."""
        micros = ((self.at_s[rows] + after_s) * 1e6).astype(np.int64)
        return pa.array(micros + _micros(self.config.start), type=pa.timestamp("us", tz="UTC"))

    def arm_names(self) -> NDArray[np.object_]:
        """Name of the arm each exchange took; null for control users."""
        # CONTROL is -1, hence the last name.
        names = [(*agents.served_arms(agent_id), None) for agent_id in self.config.agents]
        return objects([names[a][arm] for a, arm in zip(self["agent"], self["arm"], strict=True)])

    def first_turn_index(self) -> IntArray:
        """Turn index [E] of each user message in its conversation."""
        size = 2 + self["clicked"].astype(np.int64) + self["stepped"]
        # Turns before an exchange, less those before its conversation began.
        before = size.cumsum() - size
        opening = np.maximum.accumulate(np.where(self["exchange"] == 0, np.arange(len(size)), 0))
        return np.asarray(before - before[opening])


def user_id(config: SimulationConfig, *, index: int) -> str:
    """Raw id of a user of a log; other settings give other users."""
    return f"sim-{config.run_id[:8]}-{index:05d}"


def lay_out(step: Step, minds: Minds, *, config: SimulationConfig) -> Exchanges:
    """Turn the [T, N] columns of a run into user after user and give everything its id.

    Ids are `content_id`s of the run and of where a thing stands in it, so that the same settings
    always give the same ids, and two logs never share one.
    """
    columns = {
        name: values.swapaxes(0, 1).reshape(-1, *values.shape[2:])
        for name, values in vars(step).items()
    }
    user = np.repeat(np.arange(config.users), config.turns)
    ids = {
        kind: _numbered(config, kind, user=user, number=columns[kind])
        for kind in ("conversation", "journey")
    }
    flat = Exchanges(
        config=config,
        columns=columns,
        user=user,
        at_s=starts(step, minds, config=config).reshape(-1),
        user_ids=objects([user_id(config, index=index) for index in range(config.users)])[user],
        conversation_ids=ids["conversation"],
        journey_ids=ids["journey"],
        message_ids=objects([]),
        decision_ids=objects([]),
    )
    return replace(
        flat,
        message_ids=objects(flat.ids("user message")),
        decision_ids=objects(flat.ids("decision")),
    )


def _numbered(
    config: SimulationConfig, kind: str, *, user: IntArray, number: IntArray
) -> NDArray[np.object_]:
    both, inverse = np.unique(np.stack([user, number]), axis=1, return_inverse=True)
    ids = [content_id(config.run_id, kind, *pair) for pair in both.T.tolist()]
    return np.asarray(objects(ids)[inverse.reshape(-1)])


def objects(values: Sequence[object]) -> NDArray[np.object_]:
    """A one-dimensional array of Python objects, also of sequences."""
    # np.array would make a matrix of sequences of equal length.
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
