"""The stage `train_scorers`: who recognises an arm in a reply, and, on labelled sets, emotion."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from rapport.affect.build import build_shipped
from rapport.affect.strategy import StrategyScorer
from rapport.config import JobConfig
from rapport.errors import TooLittleDataError
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.pipeline.records import keep_record
from rapport.text import load_encoder
from rapport.users.split import part_of

LEAST_REPLIES = 200
"""Fewer logged replies with an arm cannot teach what an arm looks like."""


class ScorersConfig(JobConfig):
    """Settings of `train_scorers`."""

    data: tuple[Path, ...] = ()
    """GoEmotions folders for this home's affect scorer; none leaves the shipped one in place."""
    replies: int = 3_000
    """Logged replies the strategy scorer learns from."""


def train_scorers(config: ScorersConfig) -> dict[str, Any]:
    """Train the strategy scorer on the log at hand, on users no adapter learns from."""
    home, lake = Home(config.home), lake_of(config)
    encoder = load_encoder(config.encoder)
    facts: dict[str, Any] = {}
    for folder in config.data:
        facts[folder.name] = build_shipped(folder, home.root / "models", encoder=config.encoder)
    replies = _replies(lake, config)
    if replies.height < LEAST_REPLIES and config.data:
        return facts
    if replies.height < LEAST_REPLIES:
        raise TooLittleDataError("logged replies with an arm", replies.height, LEAST_REPLIES)
    texts = replies["text"].to_list()
    scorer = StrategyScorer.fit(
        texts, replies["arm"].to_list(), encoder.encode(texts), seed=config.seed
    )
    folder = home.work / "strategies"
    shutil.rmtree(folder, ignore_errors=True)
    scorer.save(folder)
    keep_record(home, lake, "train_scorers", config)
    return {**facts, "n": replies.height, "arms": len(scorer.arms), "accuracy": scorer.accuracy}


def _replies(lake: Lake, config: ScorersConfig) -> pl.DataFrame:
    """Replies of `tune` users with the arm they were given under: `text`, `arm`."""
    turns = lake.scan("turns", purpose="train").filter(
        pl.col("tenant") == config.tenant,
        pl.col("role") == "assistant",
        pl.col("arm").is_not_null(),
        pl.col("text").is_not_null(),
    )
    told = turns.select("user_id", "turn_id", "text", "arm").collect()
    parts = {user: part_of(user) for user in told["user_id"].unique()}
    kept = told.filter(pl.col("user_id").replace_strict(parts) == "tune").sort("turn_id")
    return kept.sample(min(config.replies, kept.height), seed=config.seed, shuffle=True)
