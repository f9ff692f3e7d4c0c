"""Scorers of affect from labelled sets, trained in a home and tagged with what taught them."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rapport.affect import empathy, next_strategy
from rapport.affect.build import build_shipped
from rapport.affect.empathy_training import train_empathy
from rapport.affect.epitome import read_pairs
from rapport.affect.held_out import STATED
from rapport.affect.strategy_training import train_next_strategy
from rapport.config import JobConfig
from rapport.ingest.dialogue_rows import ARM_ORDER
from rapport.ingest.talks import read_talks
from rapport.pipeline.labelled_sets import kind_of
from rapport.text import load_encoder

EPITOME = {
    "licence": "academic, non-commercial (UW Behavioral Data Science Group)",
    "sources": ["EPITOME, Reddit part (Sharma et al., EMNLP 2020)"],
}
ESCONV = {
    "licence": "CC BY-NC 4.0",
    "sources": ["ESConv (Liu et al., ACL 2021)"],
}


def train_on(path: Path, models: Path, config: JobConfig) -> dict[str, Any]:
    """Train the scorer that a labelled set teaches and keep it in a home.

    Args:
        path: GoEmotions, EPITOME or ESConv.
        models: Folder of the home's scorers.
        config: Names encoder and seed.

    Returns:
        What was counted and, of GoEmotions, measured.

    Raises:
        ConfigError: It is none of the three, or cannot be read.
        TooLittleDataError: It holds too little.
    """
    kind, started = kind_of(path), time.monotonic()
    if kind == "emotions":
        stated = {"data": str(path.absolute())}
        found: dict[str, Any] = build_shipped(path, models, encoder=config.encoder, stated=stated)
    elif kind == "empathy":
        found = _empathy(path, models, config)
    else:
        found = _strategies(path, models, config)
    return {**found, "seconds": round(time.monotonic() - started, 1)}


def _empathy(path: Path, models: Path, config: JobConfig) -> dict[str, Any]:
    stated = {**EPITOME, "data": str(path.absolute())}
    scorer, held = train_empathy(
        read_pairs(path), load_encoder(config.encoder), facts=stated, seed=config.seed
    )
    beside = held.save(models, empathy.NAME)
    replace(scorer, facts={**scorer.facts, STATED: beside}).save(models)
    return {"pairs": scorer.facts["pairs"], "licence": EPITOME["licence"]}


def _strategies(path: Path, models: Path, config: JobConfig) -> dict[str, Any]:
    stated = {**ESCONV, "data": str(path.absolute())}
    scorer, held = train_next_strategy(
        read_talks(path).talks,
        ARM_ORDER,
        load_encoder(config.encoder),
        facts=stated,
        seed=config.seed,
    )
    beside = held.save(models, next_strategy.NAME)
    replace(scorer, facts={**scorer.facts, STATED: beside}).save(models)
    told = {name: scorer.facts[name] for name in ("dialogues", "replies")}
    return {**told, "licence": ESCONV["licence"]}
