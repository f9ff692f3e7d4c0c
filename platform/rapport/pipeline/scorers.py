"""The stage `train_scorers`: who recognises an arm in a reply, and, on labelled sets, emotion."""

from typing import Any

import polars as pl

from rapport.affect.strategy import StrategyScorer
from rapport.errors import TooLittleDataError
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.pipeline.label_rows import POLICY_ID
from rapport.pipeline.labelled_sets import kind_of
from rapport.pipeline.labelled_training import train_on
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import ScorersConfig
from rapport.scratch import replaced
from rapport.text import load_encoder
from rapport.users.split import part_of

LEAST_REPLIES = 200
"""Fewer logged replies with an arm cannot teach what an arm looks like."""
_REMEDY = "ingest more conversations; label_arms finds arms where a log names none"


def train_scorers(config: ScorersConfig) -> dict[str, Any]:
    """Train the strategy scorer on the log at hand, on users no adapter learns from."""
    home, lake = Home(config.home), lake_of(config)
    facts: dict[str, Any] = {}
    for folder in config.data:  # before minutes are spent on the first
        kind_of(folder)
    for folder in config.data:
        facts[folder.name] = train_on(folder, home.root / "models", config)
    replies = _replies(lake, config)
    if replies.height < LEAST_REPLIES and config.data:
        return facts
    if replies.height < LEAST_REPLIES:
        raise TooLittleDataError(
            "replies of known kind (arm) to users set aside for tuning",
            replies.height,
            LEAST_REPLIES,
            _REMEDY,
        )
    texts, encoder = replies["text"].to_list(), load_encoder(config.encoder)
    scorer = StrategyScorer.fit(
        texts, replies["arm"].to_list(), encoder.encode(texts), seed=config.seed
    )
    with replaced(home.work / "strategies") as folder:
        scorer.save(folder)
    inferred = replies.height - int(replies["given"].sum())
    # Against inferred arms the accuracy says how well the inference is repeated, not how true.
    facts |= {"inferred": inferred} if inferred else {}
    keep_record(home, lake, "train_scorers", config)
    return {**facts, "n": replies.height, "arms": len(scorer.arms), "accuracy": scorer.accuracy}


def _replies(lake: Lake, config: ScorersConfig) -> pl.DataFrame:
    """Replies of `tune` users with their arm, as given or as inferred: `text`, `arm`, `given`."""
    turns = lake.scan("turns", purpose="train").filter(
        pl.col("tenant") == config.tenant,
        pl.col("role") == "assistant",
        pl.col("arm").is_not_null(),
        pl.col("text").is_not_null(),
    )
    named = turns.select("user_id", "turn_id", "text", "arm", given=pl.lit(value=True)).collect()
    told = pl.concat([named, _inferred(lake, config)]).unique("turn_id", keep="first")
    parts = {user: part_of(user) for user in told["user_id"].unique()}
    kept = told.filter(pl.col("user_id").replace_strict(parts) == "tune").sort("turn_id")
    return kept.sample(min(config.replies, kept.height), seed=config.seed, shuffle=True)


def _inferred(lake: Lake, config: ScorersConfig) -> pl.DataFrame:
    """Replies whose arm `label_arms` told."""
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct
    made = lake.scan("decisions", purpose="train").filter(
        pl.col("tenant") == config.tenant, pl.col("policy_id") == POLICY_ID
    )
    return made.select(
        "user_id",
        turn_id="decision_id",
        text=taken.field("text"),
        arm=taken.field("arm"),
        given=pl.lit(value=False),
    ).collect()
