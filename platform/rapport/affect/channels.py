"""What came back for each decision, channel by channel, each in [-1, 1] or null where silent."""

from collections.abc import Mapping
from typing import Literal, get_args

import polars as pl

from rapport.affect.closings import is_closing
from rapport.affect.curve import CurveSettings, curves
from rapport.config import Config
from rapport.schema import CRISIS_FACET

Channel = Literal["rating", "thumbs", "task_success", "comment", "sentiment", "dwell", "reward"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
_PLACE = ("tenant", "conversation_id")

_REPORTS: Mapping[str, pl.Expr] = {
    "rating": (pl.col("value") - 3) / 2,
    "thumbs": 2 * pl.col("value") - 1,
    "task_success": 2 * pl.col("value") - 1,
    "comment": pl.col("sentiment"),
    "dwell": pl.col("value"),
    "reward": pl.col("value"),
}
"""Metric to what it says; `dwell` stays in seconds until the length of the reply is known, and
`reward` is a log's own verdict, in [-1, 1] already."""


def answered(decisions: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
    """Decisions that may earn a reward, with where they lie and how long their reply is.

    Left out are those made in a crisis: nothing said there becomes a reward.

    Returns:
        `decision_id`, `tenant`, `conversation_id`, `turn_index` (sorted by it), `ts`, `words`.
    """
    replies = turns.filter(role="assistant", kind="message").select(
        *_PLACE,
        "turn_index",
        words=pl.col("text").str.count_matches(r"\S+"),
        reply_facet="facet",
    )
    asked = turns.filter(role="user", kind="message").select(
        *_PLACE, "turn_index", asked_facet="facet"
    )
    placed = decisions.select(
        "decision_id", "tenant", "turn_index", "ts", conversation_id="episode_id"
    )
    return (
        placed.sort("turn_index")
        .join_asof(
            asked.sort("turn_index"),
            on="turn_index",
            by=_PLACE,
            strategy="backward",
            check_sortedness=False,
        )
        .join(replies, on=[*_PLACE, "turn_index"], how="left", maintain_order="left")
        .filter(
            pl.col("asked_facet").ne_missing(CRISIS_FACET),
            pl.col("reply_facet").ne_missing(CRISIS_FACET),
        )
        .drop("asked_facet", "reply_facet")
    )


def sentiment_gain(
    placed: pl.DataFrame, turns: pl.DataFrame, sentiment: pl.DataFrame, curve: CurveSettings
) -> pl.DataFrame:
    """How far the sentiment curve moved across each decision: `(S_{t+1} - S_t) / 2`.

    S_t is the curve after the last message before the reply, S_{t+1} after the next one. The curve
    starts anew in each conversation. Closings, thanks, messages in crisis and messages without a
    score leave it as it is; where one of them is the next message, or none follows, the decision
    has no gain.

    Args:
        placed: From `answered`.
        turns: Rows of the turns table.
        sentiment: `turn_id`, `sentiment` in [-1, 1].
        curve: How the curve follows.

    Returns:
        `decision_id`, `gain`.
    """
    unread = is_closing(pl.col("text")) | pl.col("facet").eq_missing(CRISIS_FACET)
    said = (
        turns.filter(role="user", kind="message")
        .join(sentiment.select("turn_id", score="sentiment"), on="turn_id", how="left")
        .with_columns(score=pl.when(~unread).then("score"))
        .sort(*_PLACE, "turn_index")
    )
    series = said.select(pl.struct(_PLACE).rle_id()).to_series().to_numpy().astype("int64")
    scores = said["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    level = said.select(
        *_PLACE, "turn_index", told="score", level=curves(scores, series, curve)
    ).with_columns(pl.col("level").fill_nan(None))
    before = level.select(*_PLACE, "turn_index", before="level").sort("turn_index")
    after = level.select(*_PLACE, "turn_index", "told", after="level").sort("turn_index")
    around = placed.join_asof(
        before, on="turn_index", by=_PLACE, strategy="backward", check_sortedness=False
    ).join_asof(after, on="turn_index", by=_PLACE, strategy="forward", check_sortedness=False)
    gain = pl.when(pl.col("told").is_not_null()).then((pl.col("after") - pl.col("before")) / 2)
    return around.select("decision_id", gain=gain)


def reported(placed: pl.DataFrame, feedback: pl.DataFrame) -> pl.DataFrame:
    """What was reported on each decision: `decision_id` and a column a metric, null if silent.

    Of several values of one metric the latest counts. What names a conversation only goes to its
    last decision before it. `dwell` is in seconds, the rest in [-1, 1].
    """
    known = feedback.filter(pl.col("metric_name").is_in(list(_REPORTS)))
    direct = known.filter(pl.col("decision_id").is_not_null())
    last = placed.select("tenant", "ts", "conversation_id", last_id="decision_id").sort("ts")
    whole = (
        known.filter(pl.col("decision_id").is_null())
        .with_columns(conversation_id="episode_id")
        .sort("ts")
        .join_asof(last, on="ts", by=_PLACE, strategy="backward", check_sortedness=False)
        .with_columns(decision_id="last_id")
        .select(direct.columns)
    )
    latest = (
        pl.concat([direct, whole])
        .sort("ts", "feedback_id")
        .group_by("decision_id", "metric_name", maintain_order=True)
        .last()
    )
    table = placed.select("decision_id")
    for metric, reading in _REPORTS.items():
        rows = latest.filter(metric_name=metric).select("decision_id", reading.alias(metric))
        table = table.join(rows, on="decision_id", how="left", maintain_order="left")
    return table


class Reading(Config):
    """How fast people read replies."""

    words_s: float = 238 / 60
    """Words a second; 238 a minute is the mean of silent reading (Brysbaert 2019)."""
    settle_s: float = 1.0
    """Seconds before the first word."""

    def read_through(self) -> pl.Expr:
        """Reading time beyond the expected one, as a share of it: `min(dwell, 2 E) / E - 1`.

        -1 where the reply was skipped, 0 where it was read once, 1 from twice the time on:
        longer may be an open window.
        """
        expected = self.settle_s + pl.col("words") / self.words_s
        return pl.col("dwell").clip(upper_bound=2 * expected) / expected - 1
