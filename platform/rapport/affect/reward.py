"""Feedback to reward: one number in [-1, 1] for each decision that something came back for."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, field_validator

from rapport.affect.channels import CHANNELS, Channel, Reading, answered, reported, sentiment_gain
from rapport.affect.curve import CurveSettings, boost
from rapport.affect.evidence import MEASURED, Evidence, shipped_weights
from rapport.affect.waiting import DEFAULT_REWARD, overdue
from rapport.config import Config
from rapport.schema import schema_of

FloatArray = NDArray[np.float64]

REWARD_VERSION = 2
"""Version of the formula; a new one makes every decision's reward a new row."""
_SAME = 1e-9


class RewardSettings(Config):
    """How channels become a reward; saved in every release as `reward.json`."""

    weights: Mapping[Channel, NonNegativeFloat] = shipped_weights()
    """Weight of each channel among those that reported; one without a weight is not read. Learnt
    from `evidence` where there is some: a channel that was not shown to follow what people say
    afterwards weighs 0. `dwell` was never measured, so it ships with none."""
    evidence: Mapping[Channel, Evidence] = MEASURED
    """What the learnt weights rest on; it is told, and changes no reward."""
    least_weight: float = Field(default=0.1, ge=0)
    """Decisions whose reports weigh less together stay silent."""
    boost: int = Field(default=0, ge=0)
    """Earlier rewards of the conversation under the line that a reward is measured from, 3 or
    more; 0 leaves rewards as they are."""
    sentiment_scale: float = Field(default=4.0, gt=0)
    """Factor on the curve's gain, which smoothing keeps small; chosen so that the channel spreads
    as ratings do. Higher lets sentiment speak louder."""
    curve: CurveSettings = CurveSettings()
    reading: Reading = Reading()

    @field_validator("boost")
    @classmethod
    def _a_line(cls, rewards: int) -> int:
        if rewards in (1, 2):
            raise ValueError("a line needs 3 rewards or more; 0 is no boost")
        return rewards


REWARD = RewardSettings()


def compute_rewards(
    turns: pl.DataFrame,
    decisions: pl.DataFrame,
    feedback: pl.DataFrame,
    sentiment: pl.DataFrame,
    *,
    as_of: datetime,
    settings: RewardSettings = REWARD,
) -> pl.DataFrame:
    """Compute the reward of every decision that enough came back for.

    `r_t = sum_c w_c * s_c / sum_c w_c` over the channels that reported, in [-1, 1]; a channel
    without a report is left out, never counted as 0. A penalty is a channel that says -1, so it
    never raises a reward. Control decisions earn rewards as well; decisions in a crisis do not. A
    decision whose reward was waited for in vain earns the default that it carries; see
    `rapport.affect.waiting`.

    Args:
        turns: Rows of the turns table.
        decisions: Rows of the decisions table.
        feedback: Rows of the feedback table.
        sentiment: `turn_id`, `sentiment` in [-1, 1] of user messages; those left out say nothing.
        as_of: When this was known, UTC.
        settings: Weights and scales.

    Returns:
        Rows of the rewards table, in the order of `decisions`.
    """
    table = channel_table(turns, decisions, feedback, sentiment, settings=settings)
    table = _with_defaults(table, overdue(decisions, as_of))
    values = table.select(CHANNELS).to_numpy().astype(np.float64)
    weight = np.array([settings.weights.get(name, 0.0) for name in CHANNELS])
    told = np.where(np.isnan(values), 0.0, weight)
    total = told.sum(axis=1)
    enough = total >= max(settings.least_weight, _SAME)
    mean = (np.nan_to_num(values[enough]) * told[enough]).sum(axis=1) / total[enough]
    ids = table["decision_id"].to_numpy()[enough]
    counted = np.where(told[enough] > 0, values[enough], np.nan)
    found = pa.table(
        {
            "decision_id": pa.array(ids, pa.string()),
            "value": np.clip(mean, -1.0, 1.0),
            "channels": _maps(counted),
        }
    )
    rows = _rows(decisions, pl.DataFrame(found), as_of)
    return _boosted(rows, decisions, settings.boost) if settings.boost else rows


def channel_table(
    turns: pl.DataFrame,
    decisions: pl.DataFrame,
    feedback: pl.DataFrame,
    sentiment: pl.DataFrame,
    *,
    settings: RewardSettings = REWARD,
) -> pl.DataFrame:
    """What each channel says of each decision: `decision_id` and `CHANNELS`, null where silent."""
    placed = answered(decisions, turns)
    gain = sentiment_gain(placed, turns, sentiment, settings.curve)
    table = reported(placed, feedback).join(placed, on="decision_id", how="left")
    table = table.join(gain, on="decision_id", how="left")
    return table.with_columns(
        sentiment=settings.sentiment_scale * pl.col("gain"),
        dwell=settings.reading.read_through(),
        reliance=pl.when("leans").then(-1.0).otherwise("reliance"),
    ).select("decision_id", *(pl.col(name).clip(-1.0, 1.0) for name in CHANNELS))


def changed(rewards: pl.DataFrame, existing: pl.DataFrame) -> pl.DataFrame:
    """Keep the rewards that are new or differ from the latest known of their decision.

    Args:
        rewards: From `compute_rewards`.
        existing: Rows of the rewards table, any number a decision.
    """
    latest = existing.sort("as_of").group_by("decision_id", maintain_order=True).last()
    known = (
        _wide(latest)
        .rename(lambda name: f"known_{name}")
        .rename({"known_decision_id": "decision_id"})
    )
    both = _wide(rewards).join(known, on="decision_id", how="left", maintain_order="left")
    same = pl.lit(value=True)
    for name in ("reward_version", "value", *CHANNELS):
        one, other = pl.col(name), pl.col(f"known_{name}")
        near = ((one - other).abs() < _SAME).fill_null(value=False)
        same &= near | (one.is_null() & other.is_null())
    return rewards.filter(~both.select(same=same)["same"])


def returns(
    rewards: FloatArray, series: NDArray[np.int64], *, gamma: float = 0.0, window: int = 10
) -> FloatArray:
    """Discounted sums `G_t = sum_{j < window} gamma^j r_{t+j}` inside each series, [N].

    With `gamma` 0, or one decision a series, G_t is r_t.

    Args:
        rewards: [N] in time order inside each series; NaN where silent, which adds nothing. NaN
            comes back where the whole window is silent.
        series: [N] which conversation each belongs to; rows of one lie together.
        gamma: Worth of the next reward, in [0, 1].
        window: Rewards summed, >= 1.
    """
    total = np.nan_to_num(rewards)
    spoken = ~np.isnan(rewards)
    for step in range(1, min(window, len(rewards)) if gamma else 1):
        same = series[step:] == series[:-step]
        total[:-step] += gamma**step * np.where(same, np.nan_to_num(rewards[step:]), 0.0)
        spoken[:-step] |= same & ~np.isnan(rewards[step:])
    return np.where(spoken, total, np.nan)


def _with_defaults(table: pl.DataFrame, late: pl.DataFrame) -> pl.DataFrame:
    """Let the channel `reward` hold the default where no verdict came.

    A dwell time is none, and neither is a penalty.
    """
    aside = ("dwell", "false_premise", "reliance", "timing")
    silent = pl.all_horizontal(pl.col(name).is_null() for name in CHANNELS if name not in aside)
    default = pl.when(silent).then(DEFAULT_REWARD).otherwise("reward").clip(-1.0, 1.0)
    return (
        table.join(late, on="decision_id", how="left", maintain_order="left")
        .with_columns(reward=default)
        .drop(DEFAULT_REWARD)
    )


def _rows(decisions: pl.DataFrame, found: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    schema = pl.DataFrame(schema_of("rewards").empty_table()).schema
    rows = decisions.join(found, on="decision_id", how="inner", maintain_order="left")
    return rows.with_columns(
        reward_version=pl.lit(REWARD_VERSION, dtype=pl.Int32),
        as_of=pl.lit(as_of).cast(schema["as_of"]),
    ).select(schema.names())


def _boosted(rows: pl.DataFrame, decisions: pl.DataFrame, n: int) -> pl.DataFrame:
    """Each reward less the line through the n before it in its conversation, in [-1, 1]."""
    place = decisions.select("decision_id", "episode_id", "turn_index")
    placed = rows.with_row_index("row").join(place, on="decision_id", how="left")
    series = placed.sort("turn_index").group_by("tenant", "episode_id").agg("row")["row"]
    value = rows["value"].to_numpy().copy()
    for row in series:
        at = row.to_numpy()
        value[at] = np.clip(boost(value[at], n=n), -1.0, 1.0)
    return rows.with_columns(value=pl.Series(value))


def _maps(values: FloatArray) -> pa.Array:
    told = ~np.isnan(values)
    offsets = np.concatenate([[0], told.sum(axis=1).cumsum()]).astype(np.int32)
    names = np.array(CHANNELS)[np.nonzero(told)[1]]
    return pa.MapArray.from_arrays(offsets, pa.array(names, pa.string()), values[told])


def _wide(rewards: pl.DataFrame) -> pl.DataFrame:
    maps = rewards.select("channels").to_arrow().column(0).combine_chunks()
    keys = pa.array(CHANNELS, maps.type.key_type)
    wide = rewards.select("decision_id", "reward_version", "value")
    columns = [
        pl.Series(name, pc.map_lookup(maps, key, occurrence="first"), dtype=pl.Float64)
        for name, key in zip(CHANNELS, keys, strict=True)
    ]
    return wide.with_columns(columns)
