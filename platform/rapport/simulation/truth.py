"""What only the simulation knows: personas, moods, and the true value of any policy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from rapport.simulation import agents
from rapport.simulation.exchanges import Exchanges, user_id
from rapport.simulation.minds import Minds, topic_names
from rapport.simulation.phrases import phrasebook

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """True expected reward a decision, in [-1, 1], of the policies that bracket every other.

    Each on the states of the log as they are: one step ahead, for all users, control included.
    """

    uniform: float
    logging: float
    control: float
    oracle: float


def user_truth(minds: Minds, *, moods: FloatArray, flat: Exchanges) -> pl.DataFrame:
    """One row a user: persona, its manner, the topic mostly written about, control, last mood."""
    return pl.DataFrame(
        {
            "user_id": [user_id(flat.config, index=index) for index in range(len(minds))],
            "persona": minds.persona,
            "manner": [phrasebook().manners[1 + persona] for persona in minds.persona],
            "topic": topic_names(minds.topic.tolist()),
            "control": minds.control,
            "mood": moods,
        }
    )


def turn_truth(minds: Minds, *, flat: Exchanges) -> pl.DataFrame:
    """One row a user message: its topic, the mood it was written in, the mood its words show."""
    return pl.DataFrame(
        {
            "turn_id": flat.message_ids,
            "user_id": flat.user_ids,
            "persona": minds.persona[flat.user],
            "topic": topic_names(flat["topic"].tolist()),
            "mood": flat["mood"],
            "seen_mood": flat["seen_mood"],
            "left_silently": flat["left_silently"],
        }
    )


def decision_truth(minds: Minds, *, flat: Exchanges) -> pl.DataFrame:
    """One row a decision: what every served arm would have earned there.

    `arms`, `expected_reward` and `logging_probability` are lists over the agent's served menu;
    `reward` is what the reply given was worth, `control_reward` what the plain one would have been.
    """
    arms = pa.array([list(agents.served_arms(agent_id)) for agent_id in flat.config.agents])
    size = arms.value_lengths().to_numpy()[flat["agent"]]
    return pl.DataFrame(
        {
            "decision_id": flat.decision_ids,
            "user_id": flat.user_ids,
            "persona": minds.persona[flat.user],
            "agent_id": [flat.config.agents[agent] for agent in flat["agent"]],
            "topic": topic_names(flat["topic"].tolist()),
            "mood": flat["mood"],
            "control": flat["arm"] == agents.CONTROL,
            "arms": pl.Series(arms.take(pa.array(flat["agent"]))),
            "arm_index": flat["arm"],
            "expected_reward": _ragged(flat["expected"], size=size),
            "logging_probability": _ragged(flat["probabilities"], size=size),
            "reward": flat["felt"],
            "control_reward": flat["expected_plain"],
        },
        schema_overrides={"decision_id": pl.String, "user_id": pl.String},
    )


def expected_rewards(truth: pl.DataFrame) -> FloatArray:
    """True expected reward [N, A] of every arm in menu order; NaN where an agent has fewer.

    The average over the templates and subjects of the arm, and over whether it is echoed, of what
    the lexicon lets the user make of them: no noise of ratings or moods is in it.
    """
    return _padded(truth["expected_reward"])


def expected_over(truth: pl.DataFrame, arms: Sequence[str]) -> FloatArray:
    """True expected reward [N, A] of every arm of a vocabulary; NaN where it is not served.

    Args:
        truth: N rows of `decision_truth`.
        arms: A names, of which the agents' menus are parts.
    """
    rewards, agent = expected_rewards(truth), truth["agent_id"].to_numpy()
    placed = np.full((truth.height, len(arms)), np.nan)
    for agent_id in truth["agent_id"].unique().to_list():
        columns = np.array([list(arms).index(arm) for arm in agents.served_arms(agent_id)])
        rows = np.flatnonzero(agent == agent_id)
        placed[np.ix_(rows, columns)] = rewards[rows, : len(columns)]
    return placed


def true_value(truth: pl.DataFrame, target: FloatArray) -> float:
    """True value of a policy on the logged states: mean of `sum_a target * expected reward`.

    Args:
        truth: N rows of `decision_truth`, in the order of `target`.
        target: [N, A] probabilities over the served menu in menu order; rows sum to 1, columns
            beyond an agent's menu are 0.
    """
    rewards = expected_rewards(truth)
    # An arm the agent lacks is worth nothing only because no policy may take it.
    known = np.nan_to_num(rewards[:, : target.shape[1]], nan=0.0)
    return float((known * target).sum(axis=1).mean())


def values(truth: pl.DataFrame) -> Values:
    """True values of the uniform, the logging, the control and the best possible policy."""
    rewards = expected_rewards(truth)
    return Values(
        uniform=float(np.nanmean(rewards, axis=1).mean()),
        logging=true_value(truth, np.nan_to_num(_padded(truth["logging_probability"]))),
        control=float(truth["control_reward"].to_numpy().mean()),
        oracle=float(np.nanmax(rewards, axis=1).mean()),
    )


def _padded(lists: pl.Series) -> FloatArray:
    sizes = lists.list.len().to_numpy().astype(np.int64)
    padded = np.full((len(sizes), int(sizes.max(initial=0))), np.nan)
    padded[np.arange(padded.shape[1]) < sizes[:, None]] = lists.explode().to_numpy()
    return padded


def _ragged(values: FloatArray, *, size: NDArray[np.int64]) -> pl.Series:
    offsets = np.concatenate([[0], size.cumsum()]).astype(np.int32)
    kept = values[np.arange(values.shape[1]) < size[:, None]]
    return pl.Series(pa.ListArray.from_arrays(pa.array(offsets), pa.array(kept)))
