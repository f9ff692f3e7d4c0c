"""Smoke runs: a job's own small input, made in a temporary home by the stages before it.

The steps are those of the pipeline with everything that takes long left out: tiny random models,
one process in place of Ray, one trial in place of a search.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rapport.config import JobConfig
from rapport.errors import UnknownNameError
from rapport.home import Home, home_of
from rapport.lake import Lake, lake_of
from rapport.pipeline.job import C
from rapport.scratch import clear_stale, scratch_folder

SCRATCH = "rapport-smoke-"
LOG = "log"
"""Folder in the temporary home that holds the simulated log."""
LANGUAGE, ENCODER = "language", "encoder"
"""Folders there of the tiny models."""
WIDTH = 384
"""Of the tiny encoder's vectors: that of the default encoder, which the shipped scorers read."""


@dataclass(frozen=True)
class Stage:
    """A temporary home in which a job is rehearsed."""

    home: Home
    lake: Lake
    base: Mapping[str, Any]
    """Settings that every job of the rehearsal shares."""
    world: Mapping[str, Any]


@contextmanager
def rehearsed(config: C) -> Iterator[C]:
    """Settings to run with: those given, or, for a smoke run, those of a prepared temporary home.

    Raises:
        UnknownNameError: The settings name a step there is none of.
    """
    if config.smoke is None:
        yield config
        return
    shared = Path(tempfile.gettempdir())
    clear_stale(shared, SCRATCH)
    with scratch_folder(shared, SCRATCH) as folder:
        root = folder / "home"
        settled = type(config).model_validate(
            _placed(config.model_dump(), str(root)) | {"home": root, "store": None}
        )
        prepare(settled)
        yield settled


def prepare(config: JobConfig) -> None:
    """Take the steps that a smoke run names, in the home of its settings."""
    assert config.smoke is not None
    home = home_of(config)
    base = config.model_dump(include=set(JobConfig.model_fields) - {"smoke", "budget_s"})
    stage = Stage(home, lake_of(config), base, config.smoke.world)
    _simulated(stage)
    for name in config.smoke.prepare:
        if name not in STEPS:
            raise UnknownNameError("step of a smoke run", name, list(STEPS))
        STEPS[name](stage)


def _placed(value: Any, home: str) -> Any:  # noqa: ANN401  (any setting)
    """Settings with `{home}` replaced."""
    if isinstance(value, dict):
        return {key: _placed(each, home) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(each, home) for each in value]
    if isinstance(value, str | Path) and "{home}" in str(value):
        return str(value).replace("{home}", home)
    return value


def _simulated(stage: Stage) -> None:
    """The log, and models that know its words."""
    import torch  # noqa: PLC0415

    from rapport.simulation import SimulationConfig, generate, write  # noqa: PLC0415
    from rapport.testing import tiny_encoder, tiny_language_model  # noqa: PLC0415

    torch.set_num_threads(1)  # tiny models gain nothing by more, and lose much on a busy machine
    root, log = stage.home.root, generate(SimulationConfig(**stage.world))
    write(log, root / LOG)
    tiny_language_model(root / LANGUAGE)
    tiny_encoder(root / ENCODER, dim=WIDTH, texts=log.turns["text"].drop_nulls())


def _served(stage: Stage) -> None:
    """A store that served: decisions, turns and feedback wait in its outbox."""
    from rapport.store import open_store  # noqa: PLC0415
    from rapport.testing import a_decision, a_turn, some_feedback  # noqa: PLC0415

    store = open_store(stage.home.store_url)
    try:
        for n in range(20):
            said = [("turns", a_turn(conversation_id=f"e{n}", turn_index=i)) for i in range(2)]
            decision = a_decision(decision_id=f"d{n}", episode_id=f"e{n}")
            rated = some_feedback(decision_id=f"d{n}", feedback_id=f"f{n}", episode_id=f"e{n}")
            store.commit([("decisions", decision), *said, ("feedback", rated)])
    finally:
        store.close()


def _ingested(stage: Stage) -> None:
    from rapport.pipeline.ingesting import ingest_logs  # noqa: PLC0415
    from rapport.pipeline.settings import IngestConfig  # noqa: PLC0415

    paths = (str(stage.home.root / LOG),)
    ingest_logs(IngestConfig(**stage.base, format="simulation", paths=paths))


def _declared(stage: Stage) -> None:
    """A task of each of a few users, half of its time gone."""
    from rapport.testing import a_turn  # noqa: PLC0415

    now = datetime.now(UTC)
    due = {"due": (now + timedelta(hours=8)).timestamp()}
    tasks = [
        a_turn(
            user_id=f"u{n}",
            conversation_id=f"task{n}",
            kind="task",
            task_id=f"task-{n}",
            text=None,
            ts=now - timedelta(hours=8),
            features=due,
            purposes=["serve", "train", "experiment", "proactive"],
        )
        for n in range(20)
    ]
    stage.lake.append("turns", tasks, writer="rehearsal")


def _embedded(stage: Stage) -> None:
    from rapport.pipeline.rehearsed_models import embed_here  # noqa: PLC0415

    embed_here(JobConfig(**stage.base))


def _rewarded(stage: Stage) -> None:
    from rapport.pipeline.rewards import reward_log  # noqa: PLC0415

    reward_log(JobConfig(**stage.base))


def _scored(stage: Stage) -> None:
    from rapport.pipeline.scorers import train_scorers  # noqa: PLC0415
    from rapport.pipeline.settings import ScorersConfig  # noqa: PLC0415

    train_scorers(ScorersConfig(**stage.base))


def _segmented(stage: Stage) -> None:
    from rapport.pipeline.segments import segment  # noqa: PLC0415
    from rapport.pipeline.settings import SegmentConfig  # noqa: PLC0415

    segment(SegmentConfig(**stage.base))


def _adapted(stage: Stage) -> None:
    from rapport.pipeline.rehearsed_models import adapt_here  # noqa: PLC0415

    adapt_here(JobConfig(**stage.base))


def _learned(stage: Stage) -> None:
    from rapport.pipeline.rehearsed_models import learn_here  # noqa: PLC0415

    learn_here(JobConfig(**stage.base))


def _judged(stage: Stage) -> None:
    from rapport.pipeline.settings import EvaluateConfig  # noqa: PLC0415
    from rapport.pipeline.verdicts import evaluate_release  # noqa: PLC0415

    evaluate_release(EvaluateConfig(**stage.base))


STEPS: Mapping[str, Callable[[Stage], None]] = {
    "serve": _served,
    "ingest_logs": _ingested,
    "tasks": _declared,
    "embed_users": _embedded,
    "compute_rewards": _rewarded,
    "train_scorers": _scored,
    "segment_personas": _segmented,
    "train_adapters": _adapted,
    "train_policy": _learned,
    "evaluate_release": _judged,
}
"""What a smoke run may prepare, by the job whose work it does; `tasks` declares some for nudges."""
