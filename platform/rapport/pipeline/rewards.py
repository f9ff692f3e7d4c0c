"""The stage `compute_rewards`, the only writer of rewards: feedback and next messages in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from rapport.affect.languages import readable
from rapport.affect.reward import changed, compute_rewards
from rapport.affect.scorers import load_scorer
from rapport.config import JobConfig
from rapport.errors import TooLittleDataError
from rapport.governance.feedback import Metric
from rapport.governance.tenants import load_tenants, policy_of
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.text import load_encoder
from rapport.users.embed import aligned, turn_vectors
from rapport.users.timelines import messages

PURPOSE = "infer_affect"
"""What a user's messages are read for here: a reward is read from how he feels."""
_REMEDY = "ingest decisions, or conversations whose arms label_arms can tell"


def reward_log(config: JobConfig) -> dict[str, Any]:
    """Compute every decision's reward and append those that are new or changed.

    Late feedback changes a reward: its decision gets a further row, and the latest counts.
    """
    home, lake = Home(config.home), lake_of(config)
    tables = {
        name: lake.scan(name, purpose="analytics").filter(pl.col("tenant") == config.tenant)
        for name in ("turns", "decisions", "feedback", "rewards")
    }
    known = {name: frame.collect() for name, frame in tables.items()}
    if known["decisions"].is_empty():
        raise TooLittleDataError("decisions to reward", 0, 1, _REMEDY)
    sentiment = _sentiment(lake, home, config)
    policy = policy_of(load_tenants(home.tenants), config.tenant)
    feedback = paid_in(known["feedback"], policy.metrics)
    rewards = compute_rewards(
        known["turns"], known["decisions"], feedback, sentiment, as_of=datetime.now(UTC)
    )
    fresh = changed(rewards, known["rewards"])
    if fresh.height:
        lake.append("rewards", fresh.to_arrow(), writer="compute_rewards")
    return {
        "rewards": rewards.height,
        "new": fresh.height,
        "decisions": known["decisions"].height,
        "mean": rewards["value"].mean(),
    }


def paid_in(feedback: pl.DataFrame, metrics: Mapping[str, Metric]) -> pl.DataFrame:
    """Feedback with a tenant's own metrics under the channels they pay into.

    A value becomes what it says, in [-1, 1], on the channel's own scale; a metric without a channel
    loses its name, so that no channel reads it, not even where a shipped metric is called the same.
    """
    named = pl.col("metric_name").alias("own_name")
    paid, said = feedback.with_columns(named), pl.col("sentiment")
    for name, metric in metrics.items():
        mine = pl.col("own_name") == name
        scaled = 3 + 2 * said if metric.channel == "rating" else (said + 1) / 2
        if metric.channel is None or metric.kind == "flag":
            scaled = pl.col("value")
        paid = paid.with_columns(
            value=pl.when(mine).then(scaled).otherwise("value"),
            metric_name=pl.when(mine).then(pl.lit(metric.channel)).otherwise("metric_name"),
        )
    return paid.drop("own_name")


def _sentiment(lake: Lake, home: Home, config: JobConfig) -> pl.DataFrame:
    """Sentiment of messages: `turn_id`, `sentiment`; vectors are read, or made if missing.

    Those in a language whose affect is not read are left out.
    """
    told = messages(lake, purpose=PURPOSE, tenant=config.tenant)
    told = told.filter(pl.Series(readable(told["text"].to_list())))
    encoder = load_encoder(config.encoder)
    known = turn_vectors(lake, encoder_id=encoder.encoder_id, tenant=config.tenant)
    ready = told.join(known, on="turn_id", how="semi", maintain_order="left")
    scorer = load_scorer(home.root / "models", encoder_id=encoder.encoder_id)
    scored = []
    if ready.height:
        rows, vectors = aligned(ready, known)
        scored.append((ready, scorer.sentiment(ready["text"].to_list(), vectors[rows])))
    missing = told.join(known, on="turn_id", how="anti", maintain_order="left")
    if missing.height:
        texts = missing["text"].to_list()
        scored.append((missing, scorer.sentiment(texts, encoder.encode(texts))))
    nobody = pl.DataFrame(schema={"turn_id": pl.String, "sentiment": pl.Float64})
    return pl.concat(
        [nobody]
        + [turns.select("turn_id").with_columns(sentiment=pl.Series(e)) for turns, e in scored]
    )
