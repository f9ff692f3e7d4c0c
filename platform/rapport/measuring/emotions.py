"""Emotions read from labelled texts: macro and micro F1 with intervals over texts."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport.affect.scorers import EMOTIONS, AffectScorer
from rapport.errors import ConfigError
from rapport.measuring.choices import binned_error
from rapport.measuring.result import Group, Measure, Result, existing
from rapport.text import TextEncoder

RESAMPLES, SEED = 1000, 0
DEV = "dev.tsv"
_TOLD = 0.1
"""Most labels of most texts are far below, where no error shows."""
FloatArray = NDArray[np.float64]


def measure_emotions(path: Path, *, scorer: AffectScorer, encoder: TextEncoder) -> Result:
    """Measure a scorer on a file in GoEmotions' format: text, label numbers, id, by tabs.

    Of a folder its `dev.tsv` is taken, which no scorer learns from.

    Groups are the labels, each with its `f1`; macro F1 is over labels that occur or are found.
    `calibration_error` is over all decisions whose probability is .1 or more: how far it is from
    the share that are right.

    Raises:
        ConfigError: No such file, or none of its lines can be read so.
    """
    path = path / DEV if path.is_dir() else path
    texts, labels, skipped = read_labelled(existing(path))
    probability = scorer.emotion(texts, encoder.encode(texts))
    there = probability >= scorer.thresholds[1]
    told = probability >= _TOLD
    error = binned_error(probability[told], labels[told] > 0)
    f1 = _resampled(there, labels > 0)
    names = {
        name: Group({"f1": _measure(f1[:, 2 + place], int(labels[:, place].sum()))})
        for place, name in enumerate(EMOTIONS)
        if labels[:, place].any()
    }
    return Result(
        task="affect",
        data=path,
        rows=len(texts) + skipped,
        skipped=skipped,
        n=len(texts),
        metrics={
            "macro_f1": _measure(f1[:, 0], len(texts)),
            "micro_f1": _measure(f1[:, 1], len(texts)),
            "calibration_error": Measure(error, None, None, int(told.sum())),
        },
        groups=names,
        notes=("emotion: scorer under " + str(scorer.facts.get("licence", "no licence stated")),),
    )


def read_labelled(path: Path) -> tuple[list[str], FloatArray, int]:
    """Texts, their labels [N, 28], and how many lines were no such thing."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"give a readable TSV ({type(error).__name__})"
        raise ConfigError("--data", path.name, remedy) from error
    rows = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    good = [row for row in rows if len(row) >= 2 and _numbers(row[1])]
    if not good:
        remedy = f"give lines of text, label numbers below {len(EMOTIONS)} and id, parted by tabs"
        raise ConfigError("--data", path.name, remedy)
    labels = np.zeros((len(good), len(EMOTIONS)))
    for place, row in enumerate(good):
        labels[place, _numbers(row[1])] = 1.0
    return [row[0] for row in good], labels, len(rows) - len(good)


def _numbers(column: str) -> list[int]:
    numbers = column.split(",")
    fits = all(number.isdecimal() and int(number) < len(EMOTIONS) for number in numbers)
    return [int(number) for number in numbers] if fits else []


def _resampled(there: NDArray[np.bool_], labels: NDArray[np.bool_]) -> FloatArray:
    """[1 + R, 2 + K] macro F1, micro F1, and that of each label; the first row is the sample."""
    n = len(labels)
    hits = (there & labels).astype(np.float64)
    size = there.astype(np.float64) + labels
    generator = np.random.default_rng(SEED)
    drawn = np.ones((1 + RESAMPLES, n))
    for row in drawn[1:]:
        row[:] = np.bincount(generator.integers(n, size=n), minlength=n)
    hit, both = drawn @ hits, drawn @ size
    each = 2 * hit / np.maximum(both, 1)
    occurs = both[0] > 0
    micro = 2 * hit.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return np.column_stack([each[:, occurs].mean(axis=1), micro, each])


def _measure(values: FloatArray, n: int) -> Measure:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Measure(float(values[0]), float(low), float(high), n)
