"""Adapters by Ray Train: one run trains the shared adapter and every persona's."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer

from rapport.cluster.session import ray_session
from rapport.config import Device
from rapport.errors import BudgetError, RapportError
from rapport.home import Home
from rapport.language.course import STATE_LAYOUT
from rapport.language.examples import Lesson
from rapport.language.loading import best_hardware, load_trainable
from rapport.language.settings import Curriculum
from rapport.language.training import (
    SHARED,
    AdapterTrainer,
    TrainReport,
    pooled,
    read_reports,
    train_all,
)
from rapport.models import model_id
from rapport.scratch import replaced

RUN_FILE = ".run"
"""File of a trained folder that names the run it came from; hidden files enter no release."""
_FAILURES = 2  # times a run may lose a worker and go on from its last checkpoint


@dataclass(frozen=True)
class Crew:
    """Who trains."""

    workers: int = 1
    """Processes that share every batch; more help where each has processors or a GPU of its own."""
    cpus: int | None = None
    """Processors Ray reserves, and threads used, for each worker; default what the session's
    largest node has, shared where there are fewer nodes than workers."""
    device: Device = "auto"
    """`auto` gives each worker a GPU where the session has as many now, `cuda` makes an autoscaled
    cluster bring them, `cpu` leaves them to others."""


def fit_adapters(
    lessons: Mapping[str, Lesson],
    curriculum: Curriculum,
    *,
    model: Path,
    out: Path,
    home: Home,
    crew: Crew = Crew(),
) -> dict[str, TrainReport]:
    """Train all adapters in one Ray Train run and put them into a folder.

    A run that was killed goes on from its last checkpoint when it is started again with the same
    lessons, curriculum and model; a finished one leaves nothing but `out`, and is not repeated
    while that stands. Examples travel through
    Ray's object store and are written nowhere; checkpoints hold weights and counts alone.

    Args:
        lessons: Examples by persona, as `train_all` takes them.
        curriculum: How; `budget_s` counts from now, Ray's start included.
        model: Folder of the base model, at the same path on every node.
        out: Where `shared/`, `<persona>/` and `report.json` go; replaced.
        home: Its work folder, which every node must reach, holds the run while it is under way.
        crew: Who trains.

    Returns:
        Reports by adapter.

    Raises:
        TooLittleDataError: All personas together have too few examples.
        BudgetError: Time was up before the shared adapter had learnt anything.
        ConfigError: The crew's device is not here.
    """
    pooled(lessons)
    ends_at = None if curriculum.budget_s is None else time.time() + curriculum.budget_s
    storage = home.work / "ray_train"
    name = _run_name(lessons, curriculum, model)
    if _finished_run(out) == name:
        return read_reports(out)
    with ray_session(home) as session:
        session.require_gpus(crew.device, count=crew.workers)
        cpus = crew.cpus or max(min(session.node_cpus, session.cpus // crew.workers), 1)
        settings = {
            "lessons": [
                ray.put(dict(lessons))
            ],  # in a list: Ray would put the lessons in its place
            "curriculum": curriculum.model_dump(),
            "model": str(model.absolute()),
            "threads": cpus,
            "device": crew.device,
            "ends_at": ends_at,
        }
        checkpoint = _fit(
            settings, Crew(crew.workers, cpus, crew.device), storage=storage, name=name
        )
        with checkpoint.as_directory() as folder, replaced(out) as fresh:
            shutil.copytree(folder, fresh, dirs_exist_ok=True)
            (fresh / RUN_FILE).write_text(name + "\n", encoding="utf-8")
    shutil.rmtree(storage, ignore_errors=True)
    reports = read_reports(out)
    if SHARED not in reports:
        raise BudgetError("train_adapters", curriculum.budget_s or 0.0)
    return reports


def _finished_run(out: Path) -> str | None:
    stated = out / RUN_FILE
    return stated.read_text(encoding="utf-8").strip() if stated.exists() else None


def _fit(settings: dict[str, Any], crew: Crew, *, storage: Path, name: str) -> ray.train.Checkpoint:
    resources: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    there = resources.get("GPU", 0) >= crew.workers
    trainer = TorchTrainer(
        _train_here,
        train_loop_config=settings,
        # Small messages, some of them from the CPU: the backend for GPUs takes none of those.
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=crew.workers,
            use_gpu=crew.device == "cuda" or (crew.device == "auto" and there),
            resources_per_worker={"CPU": crew.cpus},
        ),
        run_config=ray.train.RunConfig(
            name=name,
            storage_path=str(storage),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            failure_config=ray.train.FailureConfig(max_failures=_FAILURES),
        ),
    )
    try:
        kept: ray.train.Checkpoint | None = trainer.fit().checkpoint
    except ray.train.WorkerGroupError as error:
        ours = [e for e in error.worker_failures.values() if isinstance(e, RapportError)]
        raise (ours[0] if ours else error) from error
    assert kept is not None  # a run without a failure reported every adapter
    return kept


def _train_here(settings: Mapping[str, Any]) -> None:
    """One worker: train from the last checkpoint on, report one after each check."""
    torch.set_num_threads(settings["threads"])
    curriculum = Curriculum.model_validate(settings["curriculum"])
    if settings["ends_at"] is not None:
        left = max(settings["ends_at"] - time.time(), 1e-6)
        curriculum = curriculum.model_copy(update={"budget_s": left})
    lessons = ray.get(settings["lessons"][0])
    first = ray.train.get_context().get_world_rank() == 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        checkpoint = ray.train.get_checkpoint()
        if checkpoint:
            with checkpoint.as_directory() as saved:
                shutil.copytree(saved, out, dirs_exist_ok=True)

        def report() -> None:
            done = {"adapters": len(read_reports(out))}
            kept = ray.train.Checkpoint.from_directory(folder) if first else None
            ray.train.report(done, checkpoint=kept)

        hardware = best_hardware(settings["device"])
        loaded = load_trainable(Path(settings["model"]), hardware=hardware)
        try:
            train_all(AdapterTrainer(loaded), lessons, curriculum, out=out, on_checkpoint=report)
        except BudgetError:
            report()  # a failure would be tried again, with still less time


def _run_name(lessons: Mapping[str, Lesson], curriculum: Curriculum, model: Path) -> str:
    """Name of a run by what it computes; how long it may take is no part of that."""
    told = curriculum.model_dump_json(exclude={"budget_s", "checkpoint_s"})
    digest = hashlib.sha256(f"{STATE_LAYOUT}{told}".encode())
    digest.update(model_id(model).encode())
    for persona, lesson in sorted(lessons.items()):
        for part in (lesson.train, lesson.held_out):
            texts = (f"{e.user}\x1f{e.messages}\x1f{e.reply}\x1f{e.arm}" for e in part)
            digest.update("\x1e".join([persona, *texts]).encode())
    return f"adapters-{digest.hexdigest()[:16]}"
