"""The stage `train_adapters`: lessons out of the lake, one Ray Train run, and what came of it."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rapport.affect.strategy import StrategyScorer
from rapport.cluster.training import Crew, fit_adapters
from rapport.home import Home
from rapport.lake import lake_of
from rapport.language.adapters import find_adapters
from rapport.language.examples import Lesson
from rapport.language.library import Library
from rapport.language.loading import best_hardware
from rapport.language.training import TrainReport
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.pipeline.finishing import Readers, fit_discriminator, measure_arms, save_findings
from rapport.pipeline.lessons import lessons
from rapport.pipeline.policies import part
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import AdaptersConfig
from rapport.scratch import replaced
from rapport.text import load_encoder


def train_adapters(config: AdaptersConfig) -> dict[str, Any]:
    """Train every adapter, see which arms show, and fit the discriminator of replies."""
    home, lake = Home(config.home), lake_of(config)
    strategies = StrategyScorer.load(part(home, "strategies"))
    taught = lessons(
        lake,
        tenant=config.tenant,
        per_persona=config.examples,
        seed=config.seed,
        upkeep=config.upkeep,
    )
    model, trained = pull(config.language_model), home.work / "trained"
    reports = fit_adapters(
        taught,
        config.curriculum,
        model=model,
        out=trained,
        home=home,
        crew=Crew(config.workers, config.cpus, config.device),
    )
    readers = Readers(load_encoder(config.encoder), strategies)
    with replaced(home.work / "adapters") as out:
        shutil.copytree(trained, out, dirs_exist_ok=True)
        library, arms = _finished(config, model, out, taught, readers)
    shutil.rmtree(trained)
    keep_record(home, lake, "train_adapters", config)
    return {
        "runner": "Ray Train",
        "tokens": sum(report.tokens for report in reports.values()),
        "adapters": {name: _row(report) for name, report in reports.items()},
        "arms": arms,
        "library": {agent: list(showing.shown) for agent, showing in library.showings.items()},
        **_stopped(reports),
    }


def _finished(
    config: AdaptersConfig,
    model: Path,
    out: Path,
    taught: Mapping[str, Lesson],
    readers: Readers,
) -> tuple[Library, dict[str, Any]]:
    torch.set_num_threads(os.cpu_count() or 1)
    hardware = best_hardware(config.device)
    engine = TransformersEngine(model, find_adapters(out), hardware=hardware)
    showings = measure_arms(engine, taught, readers, n=config.replies, seed=config.seed)
    fit = fit_discriminator(engine, taught, readers, n=config.pairs, seed=config.seed)
    arms = {
        agent: {"chance": showing.chance, **asdict(showing.overall), "shown": showing.shown}
        for agent, showing in showings.items()
    }
    return save_findings(out, showings, fit), arms


def _row(report: TrainReport) -> dict[str, Any]:
    return {
        "tokens": report.tokens,
        "perplexity base": report.perplexity_base,
        "perplexity adapter": report.perplexity_adapter,
        "gain": report.gain,
        "gain low": report.gain_low,
        "gain high": report.gain_high,
        "held-out users": report.held_out_users,
        "stopped by": report.stopped_by,
    }


def _stopped(reports: Mapping[str, TrainReport]) -> dict[str, str]:
    late = [name for name, report in reports.items() if report.stopped_by == "budget"]
    return {"stopped_by": f"budget: {', '.join(late)}"} if late else {}
