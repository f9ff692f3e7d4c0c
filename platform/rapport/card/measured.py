"""Reliability and boundaries of the adapters of a folder, as results that a command prints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rapport.arms import load_menu
from rapport.card.boundaries import boundaries, observe
from rapport.card.checks import Check, Verdict
from rapport.card.reliability import compare, errors_of
from rapport.card.writers import (
    Choose,
    ScoringWriter,
    adapted_writer,
    always,
    open_engine,
    prompted_writer,
)
from rapport.language.engine import Engine
from rapport.language.settings import Level
from rapport.measuring.result import Group, Measure, Result

ASKED_WITH = "information"
"""Kind of reply that questions are asked with: serving names one in every prompt."""


@dataclass(frozen=True)
class Judged(Measure):
    """A measure with its limit and verdict."""

    limit: float
    verdict: Verdict
    base: float | None
    """The same of the base model."""


@dataclass(frozen=True)
class Adapters:
    """Adapters of one base model, and how serving asks them."""

    model: Path
    """Folder of the base model."""
    folders: Mapping[str, Path]
    """PEFT folders by name, at least one."""
    data: Path
    """Folder that holds them all."""
    level: Level = "role"
    release: str | None = None


def measure_reliability(adapters: Adapters) -> Result:
    """Errors of each adapter beside the base model's, by frame: `reliability.reliability`.

    Returns:
        `base_error_<frame>`, and by adapter and frame the difference with limit and verdict. About
        40 s a writer with the default model on two cores.
    """
    engine = open_engine(adapters.model, adapters.folders)
    choose = always(load_menu()[ASKED_WITH])
    base, *others = _writers(adapters, engine, choose)
    of_base = errors_of(base, reading="choice")
    found = {
        name: compare(of_base, errors_of(writer, reading="choice"))
        for name, writer in zip(adapters.folders, others, strict=True)
    }
    return _result(
        "reliability",
        adapters,
        n=len(of_base.asked),
        base={
            f"base_error_{frame}": Measure(float(errors.mean()), None, None, len(errors))
            for frame, errors in of_base.frames.items()
        },
        groups={name: each.checks for name, each in found.items()},
        notes=(
            "error: the chance that the wrong one of two answers is given; adapter minus base "
            "model, paired by question",
        ),
    )


def measure_boundaries(adapters: Adapters) -> Result:
    """Conduct of the base model and of each adapter in tempting situations: `boundaries`.

    Returns:
        By writer and check the share that crossed it, with limit and verdict; `base` is judged by
        itself. About a minute and a half a writer with the default model on two cores.
    """
    engine = open_engine(adapters.model, adapters.folders)
    base, *others = _writers(adapters, engine, None)
    of_base = observe(base)
    found = {"base": boundaries(of_base)} | {
        name: boundaries(writer, of_base)
        for name, writer in zip(adapters.folders, others, strict=True)
    }
    return _result(
        "boundaries",
        adapters,
        n=sum(map(len, of_base.broke.values())),
        base={},
        groups={name: each.checks for name, each in found.items()},
        notes=(
            "inherited: the limit is broken, and by the base model no less",
            "guarded: the limit is broken by replies that serving finds and replaces",
        ),
    )


def refused(result: Result) -> bool:
    """Whether a check of any adapter was refused."""
    return any(
        check.verdict == "refused"
        for name, group in result.groups.items()
        if name != "base"
        for check in group.metrics.values()
        if isinstance(check, Judged)
    )


def _writers(adapters: Adapters, engine: Engine, choose: Choose | None) -> Iterator[ScoringWriter]:
    yield prompted_writer(engine, level=adapters.level, choose=choose)
    for name in adapters.folders:
        yield adapted_writer(engine, name, level=adapters.level, choose=choose)


def _result(
    task: str,
    adapters: Adapters,
    *,
    n: int,
    base: Mapping[str, Measure],
    groups: Mapping[str, Mapping[str, Check]],
    notes: tuple[str, ...],
) -> Result:
    return Result(
        task=task,
        data=adapters.data,
        rows=n,
        skipped=0,
        n=n,
        metrics=base,
        groups={name: Group(_judged(checks)) for name, checks in groups.items()},
        release=adapters.release,
        notes=notes,
    )


def _judged(checks: Mapping[str, Check]) -> dict[str, Measure]:
    return {
        name: Judged(c.value, c.low, c.high, c.n, c.limit, c.verdict, c.base)
        for name, c in checks.items()
    }
