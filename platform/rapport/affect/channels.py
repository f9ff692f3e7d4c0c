"""What came back for each decision, channel by channel, each in [-1, 1] or null where silent."""

from collections.abc import Mapping
from typing import Literal, get_args

import polars as pl

from rapport.affect.closings import is_closing
from rapport.affect.curve import CurveSettings, curves
from rapport.affect.leaning import is_leaning
from rapport.config import Config
from rapport.schema import CRISIS_FACET

Channel = Literal[
    "rating",
    "thumbs",
    "task_success",
    "comment",
    "sentiment",
    "dwell",
    "reward",
    "outcome",
    "false_premise",
    "reliance",
    "timing",
]
"""`outcome` is what came of it later: a check-in the next day, a referral taken up. The last three
are penalties, -1 or silent: they can only lower a reward."""
CHANNELS: tuple[Channel, ...] = get_args(Channel)
_PLACE = ("tenant", "conversation_id")

_VALUE = pl.col("value")
_STARS, _YES, _FLAG = (_VALUE - 3) / 2, 2 * _VALUE - 1, pl.when(_VALUE > 0).then(-1.0)
_REPORTS: Mapping[str, tuple[Channel, pl.Expr]] = {
    "rating": ("rating", _STARS),
    "thumbs": ("thumbs", _YES),
    "task_success": ("task_success", _YES),
    "comment": ("comment", pl.col("sentiment")),
    "dwell": ("dwell", _VALUE),
    "reward": ("reward", _VALUE),
    "outcome": ("outcome", _YES),
    "check_in": ("outcome", _STARS),
    "referral": ("outcome", _YES),
    "false_premise": ("false_premise", _FLAG),
    "reliance": ("reliance", _FLAG),
    "too_early": ("timing", _FLAG),
    "too_late": ("timing", _FLAG),
    "not_now": ("timing", _FLAG),
}
"""Metric to its channel and what it says there; `dwell` stays in seconds until the length of the
reply is known, and `reward` is a log's own verdict, in [-1, 1] already."""


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

    S_t is the curve after the last message before the reply, S_{t+1} after the last message of the
    answer to it: all that the user says before the next reply. The curve starts anew in each
    conversation. Closings, thanks, messages in crisis and messages without a score leave it as it
    is. A decision has no gain where the answer holds nothing else, or a crisis, or where another
    reply follows at once: the answer is to that one.

    Args:
        placed: From `answered`.
        turns: Rows of the turns table.
        sentiment: `turn_id`, `sentiment` in [-1, 1].
        curve: How the curve follows.

    Returns:
        `decision_id`, `gain`, and `leans`: whether the answer leans on the agent alone.
    """
    crisis = pl.col("facet").eq_missing(CRISIS_FACET)
    said = (
        turns.filter(role="user", kind="message")
        .join(sentiment.select("turn_id", score="sentiment"), on="turn_id", how="left")
        .with_columns(
            score=pl.when(~(is_closing(pl.col("text")) | crisis)).then("score"),
            leans=is_leaning(pl.col("text")) & pl.col("score").is_not_null() & ~crisis,
            crisis=crisis,
        )
        .sort(*_PLACE, "turn_index")
    )
    series = said.select(pl.struct(_PLACE).rle_id()).to_series().to_numpy().astype("int64")
    scores = said["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    level = said.select(
        *_PLACE, "turn_index", "score", "crisis", "leans", level=curves(scores, series, curve)
    ).with_columns(pl.col("level").fill_nan(None))
    before = level.select(*_PLACE, "turn_index", before="level").sort("turn_index")
    around = placed.join_asof(
        before, on="turn_index", by=_PLACE, strategy="backward", check_sortedness=False
    ).join(_answers(placed, turns, level), on=[*_PLACE, "turn_index"], how="left")
    gain = pl.when("tells").then((pl.col("after") - pl.col("before")) / 2)
    return around.select("decision_id", "leans", gain=gain)


def _answers(placed: pl.DataFrame, turns: pl.DataFrame, level: pl.DataFrame) -> pl.DataFrame:
    """The answer to each reply: its place, the level `after`, whether it `tells` and `leans`."""
    place = [*_PLACE, "turn_index"]
    written = turns.filter(role="assistant", kind="message").select(place)
    replies = pl.concat([written, placed.select(place)]).unique().sort("turn_index")
    return (
        level.sort("turn_index")
        .rename({"turn_index": "said_at"})
        .join_asof(
            replies,
            left_on="said_at",
            right_on="turn_index",
            by=_PLACE,
            strategy="backward",
            check_sortedness=False,
            coalesce=False,
        )
        .group_by(place, maintain_order=True)
        .agg(
            after=pl.col("level").last(),
            tells=pl.col("score").is_not_null().any() & ~pl.col("crisis").any(),
            leans=pl.col("leans").any(),
        )
    )


def reported(placed: pl.DataFrame, feedback: pl.DataFrame) -> pl.DataFrame:
    """What was reported on each decision: `decision_id` and a column a channel, null if silent.

    Of several values of one channel the latest counts. What names a conversation only goes to its
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
    channels = {metric: channel for metric, (channel, _) in _REPORTS.items()}
    latest = (
        pl.concat([direct, whole])
        .with_columns(channel=pl.col("metric_name").replace_strict(channels))
        .sort("ts", "feedback_id")
        .group_by("decision_id", "channel", maintain_order=True)
        .last()
    )
    said = pl.coalesce(
        pl.when(metric_name=metric).then(reading) for metric, (_, reading) in _REPORTS.items()
    )
    table = placed.select("decision_id")
    for channel in dict.fromkeys(channels.values()):
        rows = latest.filter(channel=channel).select("decision_id", said.alias(channel))
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
