"""Share of messages the guard calls a crisis, on public sets. Counts only: no text leaves here."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rapport.governance.guard import Guard


def measure(guard: Guard, data: Path) -> Mapping[str, tuple[int, int]]:
    """Flagged and all messages by set and label."""
    return {
        name: (sum(not verdict.safe for verdict in guard.check_inputs(texts)), len(texts))
        for name, texts in sets(data).items()
    }


def sets(data: Path) -> Mapping[str, Sequence[str]]:
    """The sets' texts by name and label."""
    tests = rows(data / "simple_safety_tests/simple_safety_tests.csv")
    found = grouped("sst", ((row["harm_area"].split()[0], row["prompts_final"]) for row in tests))
    xstest = rows(data / "xstest/xstest_prompts.csv")
    found |= grouped("xstest", ((row["label"], row["prompt"]) for row in xstest))
    cssrs = rows(data / "cssrs_reddit/500_Reddit_users_posts_labels.csv.gz")
    found |= grouped("cssrs", ((row["Label"], row["Post"]) for row in cssrs))
    lines = gzip.decompress((data / "esconv/esconv.jsonl.gz").read_bytes()).decode().splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["dialog"]]
    found["esconv seeker turns"] = [turn["text"] for turn in turns if turn["speaker"] == "usr"]
    return found


def rows(path: Path) -> Iterable[Mapping[str, str]]:
    """Rows of a csv file, gzipped or not."""
    csv.field_size_limit(1 << 27)
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return csv.DictReader(io.StringIO(text, newline=""))


def grouped(name: str, pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Texts by `name label`."""
    groups: dict[str, list[str]] = {}
    for label, text in pairs:
        groups.setdefault(f"{name} {label}", []).append(text)
    return groups
