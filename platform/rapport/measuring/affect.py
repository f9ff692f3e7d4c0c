"""`rapport evaluate affect`: each labelled set measured by the scorer that reads what it labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rapport.affect import empathy, next_strategy, scorers
from rapport.affect.empathy import load_empathy
from rapport.affect.next_strategy import load_next_strategy
from rapport.affect.scorers import load_scorer
from rapport.affect.weights import facts_of
from rapport.config import ENCODER_URI, JobConfig
from rapport.errors import ConfigError
from rapport.measuring.emotions import measure_emotions
from rapport.measuring.empathy import measure_empathy
from rapport.measuring.result import Result, fingerprint
from rapport.measuring.strategies import measure_strategies
from rapport.pipeline.labelled_sets import Kind, kind_of
from rapport.text import load_encoder

_TAUGHT_BY = {
    "empathy": (empathy.NAME, "EPITOME"),
    "strategies": (next_strategy.NAME, "ESConv"),
}


def measure_affect(paths: Sequence[Path], *, home: Path) -> list[Result]:
    """Measure the scorers trained in a home, or of emotions the shipped one, on labelled sets.

    Args:
        paths: GoEmotions, EPITOME or ESConv, files or folders; none takes the sets that this
            home's scorers were trained on.
        home: Folder of the installation.

    Raises:
        ConfigError: A path holds none of the sets, the scorer it needs was not trained here, or
            nothing was trained here and nothing is named.
    """
    models = home / "models"
    chosen = [(path, kind_of(path)) for path in paths or taught_by(models)]
    for path, kind in chosen:  # before anything is loaded
        _need(models, kind, path)
    encoder = load_encoder(ENCODER_URI)
    return [_measure(path, kind, home=home, encoder_id=encoder.encoder_id) for path, kind in chosen]


def taught_by(models: Path) -> list[Path]:
    """The sets that the scorers in a folder were trained on.

    Raises:
        ConfigError: None was, or one of them is no longer where it was.
    """
    found = []
    for name in (scorers.NAME, empathy.NAME, next_strategy.NAME):
        stated = models / f"{name}.json"
        facts = facts_of(models, name) if stated.exists() else {}
        if "data" in facts:
            found.append(Path(facts["data"]))
    if not found:
        remedy = (
            "name labelled sets; none is needed after rapport run train_scorers --data DIR, whose "
            "sets are then measured"
        )
        raise ConfigError("--data", None, remedy)
    for path in found:
        if not path.exists():
            remedy = "a scorer of this home was trained on it, and it is gone: name another"
            raise ConfigError("--data", str(path), remedy)
    return found


def joined(results: Sequence[Result]) -> Result:
    """Several measurements as one: the first one's metrics, everyone's groups."""
    first, *rest = results
    if not rest:
        return first
    whole = hashlib.sha256("\n".join(fingerprint(one.data) for one in results).encode())
    return replace(
        first,
        data=Path("+".join(one.data.name for one in results)),
        rows=sum(one.rows for one in results),
        skipped=sum(one.skipped for one in results),
        n=sum(one.n for one in results),
        groups={name: group for one in results for name, group in one.groups.items()},
        notes=tuple(note for one in results for note in one.notes),
        sha256=whole.hexdigest(),
    )


def _measure(path: Path, kind: Kind, *, home: Path, encoder_id: str) -> Result:
    models = home / "models"
    if kind == "emotions":
        scorer = load_scorer(models, encoder_id=encoder_id)
        return measure_emotions(path, scorer=scorer, encoder=load_encoder(ENCODER_URI))
    if kind == "empathy":
        reader = load_empathy(home)
        assert reader is not None
        return measure_empathy(path, scorer=reader, models=models)
    planner = load_next_strategy(home)
    assert planner is not None
    return measure_strategies(path, scorer=planner, models=models)


def _need(models: Path, kind: Kind, path: Path) -> None:
    """Refuse a set whose scorer was not trained in this home."""
    if kind == "emotions":
        return
    name, source = _TAUGHT_BY[kind]
    if not (models / f"{name}.json").exists():
        remedy = (
            f"no scorer learned from {source} in this home, and its licence forbids to ship one: "
            f"rapport run train_scorers --data {path}{_in_home(models.parent)}"
        )
        raise ConfigError("--data", str(path), remedy)


def _in_home(home: Path) -> str:
    """What a command needs beside, to act on this home."""
    usual = Path(JobConfig.model_fields["home"].default)
    return "" if home.absolute() == usual.absolute() else f" --home {home}"
