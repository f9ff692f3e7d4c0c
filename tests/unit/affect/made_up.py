"""Made-up labelled sets in the formats of EPITOME and ESConv, and an encoder that hashes words."""

import csv
import json
import zlib

import numpy as np

MECHANISMS = ("emotional-reactions", "interpretations", "explorations")
_SHOWS = (
    ("I am so sorry for you.", "I am so very sorry, my heart aches for you."),
    ("That must be hard.", "I know how hard that is, I went through it last year."),
    ("What happened?", "What happened when you told her about it?"),
)
_PLAIN = ("It rained on Monday.", "The bus leaves at nine.", "There are three of them.")
_ASKED = ("I lost my {}.", "My {} is gone.", "They took my {} from me.")
_THINGS = ("keys", "job", "cat", "house", "nerve", "friend", "seat", "bike")
STRATEGIES = {
    "Question": "Since when is the {} gone?",
    "Reflection of feelings": "You sound sad about the {}.",
    "Providing Suggestions": "You could look for the {} at home.",
    "Others": "Goodbye for now.",
}
_NEXT = {"Question": "Reflection of feelings", "Reflection of feelings": "Providing Suggestions"}


class HashedWords:
    """Stands for MiniLM where only the shape of the work is tested."""

    encoder_id = "hashed-words"

    def encode(self, texts):
        """[N, 32] unit vectors."""
        vectors = np.zeros((len(texts), 32), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % 32] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)


def write_pairs(folder, *, posts, replies_a_post=2, seed=0):
    """EPITOME's three files."""
    rng = np.random.default_rng(seed)
    files: dict[str, list[list[object]]] = {name: [] for name in MECHANISMS}
    for post in range(posts):
        text = str(rng.choice(_ASKED)).format(rng.choice(_THINGS)) + f" Case {post}."
        for number in range(replies_a_post):
            levels = rng.choice(3, p=[0.5, 0.2, 0.3], size=3)
            shown = [_SHOWS[i][level - 1] if level else "" for i, level in enumerate(levels)]
            parts = [part for part in shown if part] + [str(rng.choice(_PLAIN))]
            reply = " ".join(parts[i] for i in rng.permutation(len(parts)))
            for name, level, part in zip(MECHANISMS, levels, shown, strict=True):
                files[name].append([f"p{post}", f"r{post}-{number}", text, reply, level, part])
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        with (folder / f"{name}-reddit.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["sp_id", "rp_id", "seeker_post", "response_post", "level", "rationales"]
            )
            writer.writerows(rows)
    return folder


def write_talks(folder, *, dialogues, seed=0):
    """ESConv's dialogues; a strategy mostly follows from the one before."""
    rng = np.random.default_rng(seed)
    names = list(STRATEGIES)
    lines = []
    for number in range(dialogues):
        thing, strategy, dialog = str(rng.choice(_THINGS)), "Question", []
        for _ in range(6):
            text = str(rng.choice(_ASKED)).format(thing)
            dialog.append({"text": text, "speaker": "usr"})
            reply = STRATEGIES[strategy].format(thing)
            dialog.append({"text": reply, "speaker": "sys", "strategy": strategy})
            known = rng.random() < 0.8
            strategy = _NEXT.get(strategy, "Question") if known else str(rng.choice(names))
        lines.append(
            json.dumps(
                {
                    "dialog_id": f"d{number}",
                    "experience_type": "current",
                    "emotion_type": "sadness",
                    "problem_type": "loss",
                    "situation": f"Case {number}.",
                    "survey_score": {},
                    "dialog": dialog,
                }
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "esconv.jsonl").write_text("\n".join(lines) + "\n")
    return folder
