"""Rebuild the shipped scorer: `python -m rapport.affect.build --goemotions DIR --moods LOG`.

DIR holds GoEmotions (`train.tsv` or `train.tsv.gz`, `dev.tsv`, `labels_original.txt`), LOG what
`rapport simulate --out LOG` wrote; `--moods` may be given several times.
"""

import argparse
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect.scorers import EMOTIONS, AffectScorer
from rapport.affect.training import Moods, f1_scores, polarity, train_affect
from rapport.config import ENCODER_URI
from rapport.errors import DataError
from rapport.runner import show
from rapport.text import load_encoder

FloatArray = NDArray[np.float64]

_LICENCE = "Apache-2.0"
_SOURCE = "GoEmotions, train split (Demszky et al., ACL 2020; google-research, Apache-2.0)"
_MOODS = "rapport.simulation: messages and the true mood of their writers (Apache-2.0)"
_STRETCH = 2.0
"""Factor on simulated moods, which seldom leave [-.5, .5], so that words weigh as in GoEmotions."""


def build_shipped(
    goemotions: Path,
    out: Path,
    *,
    moods: Sequence[Path] = (),
    encoder: str = ENCODER_URI,
    stated: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on GoEmotions' train split and simulated logs, and write the scorer to a folder.

    Args:
        goemotions: Folder of the data set.
        out: Where `affect.json` and its arrays go.
        moods: Folders of simulated logs.
        encoder: URI of the encoder of the vector layer.
        stated: More to keep beside the weights.

    Returns:
        What was measured on the dev split, which nothing was trained or tuned on; empty without.

    Raises:
        DataError: A file is missing or not as GoEmotions has it.
        ModelError: The encoder cannot be had.
    """
    reader = load_encoder(encoder)
    texts, labels = read_goemotions(goemotions, "train")
    known, train = read_moods(moods), len(texts)
    scorer = train_affect(
        texts,
        labels,
        reader.encode(texts),
        moods=Moods(known.texts, known.mood, reader.encode(known.texts)),
        encoder_id=reader.encoder_id,
    )
    measured = {}
    if (goemotions / "dev.tsv").exists():
        texts, labels = read_goemotions(goemotions, "dev")
        measured = measure(scorer, texts, labels, vectors=reader.encode(texts))
    facts = {
        "licence": _LICENCE,
        "sources": [_SOURCE, _MOODS] if known.texts else [_SOURCE],
        "texts": {"labelled": train, "moods": len(known.texts)},
        **scorer.facts,
        "labels": EMOTIONS,
        "dev": measured,
        **(stated or {}),
    }
    replace(scorer, facts=facts).save(out)
    return measured


def measure(
    scorer: AffectScorer, texts: Sequence[str], labels: FloatArray, *, vectors: NDArray[np.float32]
) -> dict[str, float]:
    """Macro and micro F1 of emotions and correlation of sentiment with polarity, both ways."""
    found: dict[str, float] = {}
    for row, (name, given) in enumerate((("words", None), ("vectors", vectors))):
        there = scorer.emotion(texts, given) >= scorer.thresholds[row]
        macro, micro = f1_scores(there, labels)
        read = np.corrcoef(scorer.sentiment(texts, given), polarity(labels))[0, 1]
        found |= {f"macro_f1_{name}": macro, f"micro_f1_{name}": micro, f"polarity_{name}": read}
    return {name: round(float(value), 4) for name, value in found.items()}


def read_goemotions(folder: Path, split: str) -> tuple[list[str], FloatArray]:
    """Read the texts of a split and their labels [N, 28].

    Raises:
        DataError: A file is missing, its labels are others, or a line is not text, labels, id.
    """
    names = tuple(_lines(folder / "labels_original.txt"))
    if names != EMOTIONS:
        raise DataError("labels_original.txt lists other labels", "give GoEmotions' own files")
    file = folder / f"{split}.tsv"
    rows = [
        line.split("\t") for line in _lines(file if file.exists() else folder / f"{split}.tsv.gz")
    ]
    labels = np.zeros((len(rows), len(EMOTIONS)))
    for place, row in enumerate(rows):
        numbers = row[1].split(",") if len(row) > 1 else []
        if not numbers or not all(n.isdecimal() and int(n) < len(EMOTIONS) for n in numbers):
            raise DataError(
                f"line {place + 1} of {split}", "give text, label numbers and id by tabs"
            )
        labels[place, [int(number) for number in numbers]] = 1.0
    return [row[0] for row in rows], labels


def read_moods(folders: Sequence[Path]) -> Moods:
    """Read the users' messages of simulated logs and twice the mood each was written in.

    Raises:
        DataError: A folder is not a simulated log.
    """
    frames = []
    for folder in folders:
        try:
            turns = pl.read_parquet(folder / "turns.parquet", columns=["turn_id", "text"])
            truth = pl.read_parquet(folder / "truth" / "turns.parquet", columns=["turn_id", "mood"])
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{str(folder)!r} is no simulated log", "make one: rapport simulate"
            ) from error
        frames.append(turns.join(truth, on="turn_id", maintain_order="left"))
    if not frames:
        return Moods((), np.empty(0))
    both = pl.concat(frames)
    return Moods(both["text"].to_list(), np.clip(_STRETCH * both["mood"].to_numpy(), -1.0, 1.0))


def _lines(file: Path) -> list[str]:
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file.name} cannot be read ({type(error).__name__})", "give GoEmotions' own files"
        ) from error
    # Not splitlines: some comments hold the odd line separators that it also splits at.
    return text.removesuffix("\n").split("\n")


def main() -> None:
    """Rebuild from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rapport.affect.build")
    parser.add_argument("--goemotions", type=Path, required=True)
    parser.add_argument("--moods", type=Path, action="append", default=[])
    parser.add_argument("--encoder", default=ENCODER_URI)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    chosen = parser.parse_args()
    measured = build_shipped(
        chosen.goemotions, chosen.out, moods=chosen.moods, encoder=chosen.encoder
    )
    show(measured, as_json=True)


if __name__ == "__main__":
    main()
