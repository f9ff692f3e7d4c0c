"""How valid a reward is: does it follow what people say afterwards, and know success from failure.

A reward that is read from texts is a proxy. It is worth learning from only as far as it orders
conversations as their own people do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from rapport.affect.channels import answered, sentiment_gain
from rapport.affect.closings import is_closing, takes_leave
from rapport.affect.curve import CurveSettings
from rapport.affect.evidence import Correlation, learnt_weight
from rapport.affect.reward import REWARD, RewardSettings
from rapport.affect.scorers import AffectScorer
from rapport.governance.tenants import EMBEDDED
from rapport.ingest.batch import Intake
from rapport.ingest.dialogue_batch import FAILED_SOURCE
from rapport.ingest.esconv import read_esconv
from rapport.measuring.halves import Variants, cross_fitted, grid
from rapport.measuring.ranks import auc, measured, spearman
from rapport.measuring.result import Group, Measure, Result, existing
from rapport.text import TextEncoder

RewardFunction = Callable[[pl.DataFrame], pl.DataFrame]
"""Rows of the turns table -> `conversation_id`, `value`: one number a conversation, higher meaning
better; a conversation it says nothing of is left out."""

_SURVEYED = ("relief", "empathy", "relevance")
_RETAINED = (
    "retained dialogues all tell of relief, which narrows what can correlate; the failed were "
    "chosen for telling of none, which widens it"
)
_CROSS_FITTED = (
    "what is shipped was chosen on these very dialogues; cross_fitted figures are of settings of "
    f"the curve (of {len(grid())}) that did best on one half of them, measured on the other. Which "
    "messages close a conversation, and what counts as an answer, was seen on both halves"
)


def measure_reward(
    path: Path, rewards: Mapping[str, RewardFunction], variants: Variants | None = None
) -> Result:
    """Measure reward functions on ESConv: surveys after the chat, and dialogues that failed.

    Each becomes a group, and the first the result's `metrics`. `rho_relief`, `rho_empathy` and
    `rho_relevance` are Spearman correlations with the drop in emotion intensity and the scores
    that seekers gave, over all dialogues that were surveyed; `..._retained` leaves out those that
    failed, as published figures do, though none of the rest tells of no relief. `auc_success` is
    the chance that a dialogue ranks above a failed one; `auc_success_without_closings` the same
    where thanks and farewells are taken out of the texts, `auc_success_without_thanks` where every
    message that holds one is. `weight` is what the channel may weigh where stars weigh 1. The group
    `stars` is the ceiling: the seekers' own ratings during the chat. Intervals are 95 %, by
    bootstrap over dialogues. With `variants` the first group has `..._cross_fitted` as well: of the
    settings that did best on one half of the dialogues, measured on the other; see
    `rapport.measuring.halves`.

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
    notes = [_RETAINED]
    if variants is not None:
        name, first = next(iter(groups.items()))
        fitted = cross_fitted(outcomes, _readings(turns, variants))
        groups[name] = Group({**first.metrics, **fitted})
        notes.append(_CROSS_FITTED)
    return Result(
        task="reward",
        data=path,
        rows=sum(batch.read[kind] for kind in batch.records),
        skipped=sum(reject.table in batch.records for reject in batch.rejects),
        n=outcomes.height,
        metrics=next(iter(groups.values())).metrics,
        groups=groups,
        notes=tuple(notes),
    )


def shipped_reward(
    scorer: AffectScorer, encoder: TextEncoder, settings: RewardSettings = REWARD
) -> RewardFunction:
    """The reward that is learned from where nobody rates: mean over replies of the curve's gain.

    It is the channel `sentiment` of `compute_rewards`, for every reply that a message follows.
    """

    def read(turns: pl.DataFrame) -> pl.DataFrame:
        gains = _gains(turns, _sentiments(turns, scorer, encoder), settings.curve)
        return _means(gains, settings.sentiment_scale)

    return read


def shipped_variants(
    scorer: AffectScorer, encoder: TextEncoder, settings: RewardSettings = REWARD
) -> Variants:
    """`shipped_reward` under each of the settings of `rapport.measuring.halves.grid`."""
    tried = grid(settings)

    def read(turns: pl.DataFrame) -> pl.DataFrame:
        sentiment = _sentiments(turns, scorer, encoder)
        gains = {curve: _gains(turns, sentiment, curve) for curve, _ in tried}
        tables = [
            _means(gains[curve], factor).rename({"value": f"setting-{place}"})
            for place, (curve, factor) in enumerate(tried)
        ]
        return pl.concat(tables, how="align")

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


def _gains(turns: pl.DataFrame, sentiment: pl.DataFrame, curve: CurveSettings) -> pl.DataFrame:
    """`conversation_id`, `gain` of every reply that has one."""
    replies = turns.filter(role="assistant", kind="message").select(
        "tenant", "turn_index", "ts", decision_id="turn_id", episode_id="conversation_id"
    )
    placed = answered(replies, turns)
    gain = sentiment_gain(placed, turns, sentiment, curve)
    told = placed.join(gain, on="decision_id", maintain_order="left").drop_nulls("gain")
    return told.select("conversation_id", "gain")


def _means(gains: pl.DataFrame, factor: float) -> pl.DataFrame:
    """The channel `sentiment` of `compute_rewards`, its mean over the replies: `value`."""
    value = (factor * pl.col("gain")).clip(-1.0, 1.0)
    return gains.group_by("conversation_id", maintain_order=True).agg(value=value.mean())


def _sentiments(turns: pl.DataFrame, scorer: AffectScorer, encoder: TextEncoder) -> pl.DataFrame:
    said = turns.filter(role="user", kind="message")
    return said.select("turn_id", sentiment=_sentiment(said, scorer, encoder))


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
            found[f"rho_{name}{kind}"] = measured(spearman, rows)
    for kind, rows in told.items():
        found[f"auc_success{kind}"] = measured(auc, rows.select("value", "failed"))
    return {name: measure for name, measure in found.items() if measure is not None}


def _weighed(found: Mapping[str, Measure], stars: Mapping[str, Measure]) -> dict[str, Measure]:
    """The measures, and the weight that their correlation with relief earns."""
    mine, best = found.get("rho_relief"), stars.get("rho_relief")
    if mine is None or best is None:
        return dict(found)
    weight = learnt_weight(_evidence(mine), _evidence(best))
    return {**found, "weight": Measure(weight, None, None, mine.n)}


def _evidence(rho: Measure) -> Correlation:
    assert rho.low is not None, "every correlation has its interval"
    assert rho.high is not None, "every correlation has its interval"
    return Correlation(rho=rho.estimate, low=rho.low, high=rho.high, n=rho.n)
