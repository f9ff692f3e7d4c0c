"""How valid a reward is: does it follow what people say afterwards, and know success from failure.

A reward that is read from texts is a proxy. It is worth learning from only as far as it orders
conversations as their own people do.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from rapport.affect.channels import answered, sentiment_gain
from rapport.affect.closings import is_closing, takes_leave
from rapport.affect.evidence import Evidence, learnt_weight
from rapport.affect.reward import REWARD, RewardSettings
from rapport.affect.scorers import AffectScorer
from rapport.governance.tenants import EMBEDDED
from rapport.ingest.batch import Intake
from rapport.ingest.dialogue_batch import FAILED_SOURCE
from rapport.ingest.esconv import read_esconv
from rapport.measuring.result import Group, Measure, Result, existing
from rapport.text import TextEncoder

FloatArray = NDArray[np.float64]
RewardFunction = Callable[[pl.DataFrame], pl.DataFrame]
"""Rows of the turns table -> `conversation_id`, `value`: one number a conversation, higher meaning
better; a conversation it says nothing of is left out."""

RESAMPLES, SEED = 1000, 0
_SURVEYED = ("relief", "empathy", "relevance")


def measure_reward(path: Path, rewards: Mapping[str, RewardFunction]) -> Result:
    """Measure reward functions on ESConv: surveys after the chat, and dialogues that failed.

    Each becomes a group, and the first the result's `metrics`. `rho_relief`, `rho_empathy` and
    `rho_relevance` are Spearman correlations with the drop in emotion intensity and the scores
    that seekers gave, over all dialogues that were surveyed; `..._retained` leaves out those that
    failed, as published figures do, though none of the rest tells of no relief. `auc_success` is
    the chance that a dialogue ranks above a failed one; `auc_success_without_closings` the same
    where thanks and farewells are taken out of the texts, `auc_success_without_thanks` where every
    message that holds one is. `weight` is what the channel may weigh where stars weigh 1. The group
    `stars` is the ceiling: the seekers' own ratings during the chat. Intervals are 95 %, by
    bootstrap over dialogues.

    Raises:
        ConfigError: No such path, or no ESConv in it.
        DataError: A file cannot be read.
    """
    batch = read_esconv([existing(path)], Intake("default", b"measured", EMBEDDED))
    turns, feedback = (pl.DataFrame(batch.tables[name]) for name in ("turns", "feedback"))
    outcomes = _outcomes(turns, feedback)
    by_stars = feedback.filter(metric_name="rating").group_by(conversation_id="episode_id")
    stars = _validity(outcomes, {"": by_stars.agg(pl.col("value").mean())})
    groups = {
        name: Group(_weighed(_validity(outcomes, _readings(turns, read)), stars))
        for name, read in rewards.items()
    }
    groups["stars"] = Group(_weighed(stars, stars))
    return Result(
        task="reward",
        data=path,
        rows=sum(batch.read[kind] for kind in batch.records),
        skipped=sum(reject.table in batch.records for reject in batch.rejects),
        n=outcomes.height,
        metrics=next(iter(groups.values())).metrics,
        groups=groups,
        notes=(
            "retained dialogues all tell of relief, which narrows what can correlate; the failed "
            "were chosen for telling of none, which widens it",
        ),
    )


def shipped_reward(
    scorer: AffectScorer, encoder: TextEncoder, settings: RewardSettings = REWARD
) -> RewardFunction:
    """The reward that is learned from where nobody rates: mean over replies of the curve's gain.

    It is the channel `sentiment` of `compute_rewards`, for every reply that a message follows.
    """

    def read(turns: pl.DataFrame) -> pl.DataFrame:
        said = turns.filter(role="user", kind="message")
        sentiment = said.select("turn_id").with_columns(sentiment=_sentiment(said, scorer, encoder))
        replies = turns.filter(role="assistant", kind="message").select(
            "tenant", "turn_index", "ts", decision_id="turn_id", episode_id="conversation_id"
        )
        placed = answered(replies, turns)
        gain = sentiment_gain(placed, turns, sentiment, settings.curve)
        value = (settings.sentiment_scale * pl.col("gain")).clip(-1.0, 1.0)
        return (
            placed.join(gain, on="decision_id")
            .drop_nulls("gain")
            .group_by("conversation_id")
            .agg(value=value.mean())
        )

    return read


def last_sentiment(scorer: AffectScorer, encoder: TextEncoder) -> RewardFunction:
    """The naive reward: how the last message sounds."""

    def read(turns: pl.DataFrame) -> pl.DataFrame:
        said = turns.filter(role="user", kind="message").sort("conversation_id", "turn_index")
        last = said.group_by("conversation_id", maintain_order=True).last()
        return last.select("conversation_id", value=_sentiment(last, scorer, encoder))

    return read


def message_length() -> RewardFunction:
    """Words a message: no reward at all, and yet the failed dialogues differ in it."""

    def read(turns: pl.DataFrame) -> pl.DataFrame:
        said = turns.filter(role="user", kind="message")
        words = pl.col("text").str.count_matches(r"\S+")
        return said.group_by("conversation_id", maintain_order=True).agg(value=words.mean())

    return read


def _sentiment(said: pl.DataFrame, scorer: AffectScorer, encoder: TextEncoder) -> pl.Series:
    texts = said["text"].to_list()
    return pl.Series(scorer.sentiment(texts, encoder.encode(texts)))


def _readings(turns: pl.DataFrame, read: RewardFunction) -> dict[str, pl.DataFrame]:
    """Rewards of the dialogues as they are, and of what is left of them."""
    ours = pl.col("role") != "user"
    return {
        "": read(turns),
        "_without_closings": read(turns.filter(ours | ~is_closing(pl.col("text")))),
        "_without_thanks": read(turns.filter(ours | ~takes_leave(pl.col("text")))),
    }


def _outcomes(turns: pl.DataFrame, feedback: pl.DataFrame) -> pl.DataFrame:
    """`conversation_id`, `failed` and `_SURVEYED`, null where nobody was asked."""
    whole = turns.select("conversation_id", failed=pl.col("source") == FAILED_SOURCE).unique()
    surveyed = feedback.filter(pl.col("decision_id").is_null()).pivot(
        "metric_name", index="episode_id", values="value", aggregate_function="last"
    )
    relief = pl.col("initial_emotion_intensity") - pl.col("final_emotion_intensity")
    scores = surveyed.with_columns(relief=relief).rename({"episode_id": "conversation_id"})
    told = whole.join(scores, on="conversation_id", how="left").sort("conversation_id")
    return told.select("conversation_id", "failed", *_SURVEYED)


def _validity(outcomes: pl.DataFrame, readings: Mapping[str, pl.DataFrame]) -> dict[str, Measure]:
    told = {kind: outcomes.join(read, on="conversation_id") for kind, read in readings.items()}
    found: dict[str, Measure | None] = {}
    for kind, some in (("", told[""]), ("_retained", told[""].filter(~pl.col("failed")))):
        for name in _SURVEYED:
            rows = some.drop_nulls(name).select("value", name)
            found[f"rho_{name}{kind}"] = _measured(spearman, rows)
    for kind, rows in told.items():
        found[f"auc_success{kind}"] = _measured(auc, rows.select("value", "failed"))
    return {name: measure for name, measure in found.items() if measure is not None}


def _weighed(found: Mapping[str, Measure], stars: Mapping[str, Measure]) -> dict[str, Measure]:
    """The measures, and the weight that their correlation with relief earns."""
    mine, best = found.get("rho_relief"), stars.get("rho_relief")
    if mine is None or best is None:
        return dict(found)
    weight = learnt_weight(_evidence(mine), _evidence(best))
    return {**found, "weight": Measure(weight, None, None, mine.n)}


def _evidence(rho: Measure) -> Evidence:
    assert rho.low is not None, "every correlation has its interval"
    assert rho.high is not None, "every correlation has its interval"
    return Evidence(rho=rho.estimate, low=rho.low, high=rho.high, n=rho.n)


def spearman(value: FloatArray, outcome: FloatArray) -> float:
    """Rank correlation of two columns [N], ties at their mean rank; nan where one is constant."""
    ranks = rankdata(value), rankdata(outcome)
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def auc(value: FloatArray, failed: FloatArray) -> float:
    """Chance that one that did not fail ranks above one that did, ties half; nan without both."""
    bad = failed > 0
    good_n, bad_n = int((~bad).sum()), int(bad.sum())
    if not good_n or not bad_n:
        return float("nan")
    above = rankdata(value)[~bad].sum() - good_n * (good_n + 1) / 2
    return float(above / (good_n * bad_n))


def _measured(
    statistic: Callable[[FloatArray, FloatArray], float], rows: pl.DataFrame
) -> Measure | None:
    """A statistic of two columns with its interval; none where it is not defined."""
    value, outcome = rows.cast(pl.Float64).to_numpy().T
    estimate = statistic(value, outcome)
    if np.isnan(estimate):
        return None
    drawn = [statistic(value[take], outcome[take]) for take in _resamples(len(value))]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measure(estimate, float(low), float(high), len(value))


def _resamples(n: int) -> Iterator[NDArray[np.int64]]:
    generator = np.random.default_rng(SEED)
    for _ in range(RESAMPLES):
        yield generator.integers(n, size=n)
