"""Labelled sets that scorers of affect learn from, each recognised by what it holds."""

import re
from pathlib import Path
from typing import Literal

from rapport.affect.epitome import holds_pairs
from rapport.errors import ConfigError
from rapport.ingest.talks import holds_talks

Kind = Literal["emotions", "empathy", "strategies"]
_TSV = re.compile(r".*\.tsv(\.gz)?", re.IGNORECASE)
LAYOUT = (
    "give GoEmotions (train.tsv[.gz], dev.tsv, labels_original.txt), EPITOME "
    "(emotional-reactions*.csv[.gz], interpretations*, explorations*) or ESConv (esconv.jsonl[.gz])"
)


def kind_of(path: Path) -> Kind:
    """What a file or folder teaches or measures: emotions, empathy or support strategies.

    Raises:
        ConfigError: Nothing lies there, or none of the three sets.
    """
    if not path.exists():
        raise ConfigError("--data", str(path), "name a file or folder that is there")
    if holds_talks(path):
        return "strategies"
    if holds_pairs(path):
        return "empathy"
    files = path.iterdir() if path.is_dir() else [path]
    if any(_TSV.fullmatch(file.name) for file in files):
        return "emotions"
    raise ConfigError("--data", str(path), f"it is none of the labelled sets known; {LAYOUT}")
