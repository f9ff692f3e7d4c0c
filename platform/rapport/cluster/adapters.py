"""The stage `train_adapters`: lessons out of the lake, one Ray Train run, and what came of it."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from rapport.affect.strategy import StrategyScorer
from rapport.cluster.training import Crew, fit_adapters
from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.language.adapters import find_adapters
from rapport.language.examples import Lesson
from rapport.language.library import Library
from rapport.language.settings import Curriculum, TrainingSettings
from rapport.language.training import TrainReport
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.pipeline.finishing import Readers, fit_discriminator, measure_arms, save_findings
from rapport.pipeline.lessons import lessons
from rapport.pipeline.policies import part
from rapport.pipeline.records import keep_record
from rapport.text import load_encoder


class AdaptersConfig(JobConfig):
    """Settings of `train_adapters`."""

    examples: int = Field(default=400, ge=10)
    """Most examples a persona learns from."""
    shared_tokens: int = Field(default=20_000, gt=0)
    persona_tokens: int = Field(default=5_000, gt=0)
    replies: int = Field(default=120, ge=15)
    """Replies written to see which arms show in the text."""
    pairs: int = Field(default=60, ge=0)
    """Held-out replies the discriminator of mode `rerank` learns from."""
    workers: int = Field(default=1, ge=1)
    """Processes that share every batch."""
    cpus: int | None = Field(default=None, ge=1)
    """Processors of each; none takes a whole node's."""
    gpus: bool | None = None
    """A GPU for each; none takes those that are there, true waits for an autoscaler's."""
    checkpoint_s: float = Field(default=60.0, gt=0)
    """Most seconds of training that a crash costs."""

    @property
    def curriculum(self) -> Curriculum:
        """How the adapters are trained."""
        return Curriculum(
            shared=TrainingSettings(tokens=self.shared_tokens, learning_rate=3e-3, seed=self.seed),
            persona=TrainingSettings(
                tokens=self.persona_tokens, learning_rate=2e-3, seed=self.seed
            ),
            budget_s=self.seconds,
            checkpoint_s=self.checkpoint_s,
        )


def train_adapters(config: AdaptersConfig) -> dict[str, Any]:
    """Train every adapter, see which arms show, and fit the discriminator of replies."""
    home, lake = Home(config.home), lake_of(config)
    strategies = StrategyScorer.load(part(home, "strategies"))
    taught = lessons(lake, tenant=config.tenant, per_persona=config.examples, seed=config.seed)
    model, out = pull(config.language_model), home.work / "adapters"
    reports = fit_adapters(
        taught,
        config.curriculum,
        model=model,
        out=out,
        home=home,
        crew=Crew(config.workers, config.cpus, config.gpus),
    )
    readers = Readers(load_encoder(config.encoder), strategies)
    library, arms = _finished(config, model, out, taught, readers)
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
    engine = TransformersEngine(model, find_adapters(out))
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
