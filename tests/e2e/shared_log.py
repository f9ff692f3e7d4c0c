"""An `openai-jsonl` log as a newcomer might have it, from ESConv with half of its ratings removed.

python -m tests.e2e.shared_log my.jsonl
"""

import csv
import gzip
import json
import random
import sys
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared/data/esconv"
ROLES = {"usr": "user", "sys": "assistant"}
KEPT = 0.5
"""Share of the ratings that stay."""


def write_chats(to: Path, *, source: Path = SHARED, seed: int = 0) -> dict[str, int]:
    """Write one chat a line, with neither users nor times; returns what was written."""
    chance = random.Random(seed)
    stars = _stars(source)
    counts = {"conversations": 0, "messages": 0, "ratings": 0, "ratings removed": 0}
    with gzip.open(source / "esconv.jsonl.gz", "rt") as told, to.open("w") as file:
        for dialogue in map(json.loads, told):
            name = dialogue["dialog_id"]
            chat = {"id": name, "messages": _messages(dialogue["dialog"])}
            rated = [(chat["messages"][turn], n) for turn, n in stars.get(name, {}).items()]
            survey = dialogue.get("survey_score", {}).get("seeker", {}).get("empathy")
            rated += [(chat, int(survey))] if survey else []
            for where, rating in rated:
                kept = chance.random() < KEPT
                counts["ratings" if kept else "ratings removed"] += 1
                if kept:
                    where["rating"] = rating
            counts["conversations"] += 1
            counts["messages"] += len(chat["messages"])
            file.write(json.dumps(chat) + "\n")
    return counts


def _messages(turns):
    return [{"role": ROLES[one["speaker"]], "content": one["text"]} for one in turns]


def _stars(source):
    """By dialogue, ratings of the supporter's turns."""
    found: dict[str, dict[int, int]] = {}
    with (source / "turn_feedback.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            of_dialogue = found.setdefault(row["dialog_id"], {})
            of_dialogue[int(row["supporter_last_turn"])] = int(row["feedback"])
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(write_chats(Path(sys.argv[1]))) + "\n")
