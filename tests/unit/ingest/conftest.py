import gzip
import json

import pytest
import zstandard

from rapport.governance.tenants import EMBEDDED
from rapport.ingest import ingest
from rapport.lake import Lake

SECRET = b"s" * 32
FLAT = {"seeker": "usr", "supporter": "sys"}
FAILED = {"seeker": "speaker", "supporter": "listener"}
TALK = (
    ("seeker", "The exams are in June and I cannot sleep, number {n}.", None),
    ("supporter", "What keeps you awake?", "Question"),
    ("seeker", "Mostly the thought of the first one.", None),
    ("supporter", "That sounds heavy.", "Reflection of feelings"),
    ("supporter", "You could plan one hour a day.", "Providing Suggestions"),
    ("seeker", "That may help.", None),
    ("seeker", "Thank you.", None),
)
RATINGS = {2: "4", 6: "5"}


def a_record(number=0, *, layout="flat", talk=TALK, ratings=RATINGS, **fields):
    """One dialogue as a JSON record; `ratings` go into the published layouts only."""
    record = {
        "experience_type": "Current Experience",
        "emotion_type": "anxiety",
        "problem_type": "academic pressure",
        "situation": f"Exam {number} comes near.",
        "survey_score": {
            "seeker": {"initial_emotion_intensity": "5", "empathy": "4"},
            "supporter": {"relevance": "3"},
        },
        "dialog": [
            entry(i, speaker, text.format(n=number), strategy, layout=layout, ratings=ratings)
            for i, (speaker, text, strategy) in enumerate(talk)
        ],
    }
    if layout == "flat":
        record["dialog_id"] = f"valid-{number:04d}"
    merged = {**record, **fields}
    return {key: value for key, value in merged.items() if value is not ...}


def entry(index, speaker, text, strategy, *, layout, ratings):
    if layout == "flat":
        label = {"strategy": strategy} if strategy else {}
        return {"speaker": FLAT[speaker], "text": text, **label}
    annotation = {"strategy": strategy} if strategy else {}
    if speaker == "seeker" and index in ratings:
        annotation["feedback"] = ratings[index]
    names = FAILED if layout == "failed" else {}
    return {"speaker": names.get(speaker, speaker), "annotation": annotation, "content": text}


@pytest.fixture(name="a_record")
def a_record_fixture():
    return a_record


RATED = (
    "dialog_id,seeker_first_turn,seeker_last_turn,supporter_first_turn,supporter_last_turn,"
    "supporter_strategies,feedback\n"
)


def packed(name, data):
    if name.endswith(".gz"):
        return gzip.compress(data)
    return zstandard.compress(data) if name.endswith(".zst") else data


@pytest.fixture
def write(tmp_path):
    """Write records or text: `.jsonl` one a line, `.json` as one array, `.gz`, `.zst` packed."""

    def write(name, content, *, indent=1):
        if isinstance(content, list) and ".jsonl" in name:
            content = "".join(json.dumps(record) + "\n" for record in content)
        elif isinstance(content, list):
            content = json.dumps(content, indent=indent)
        data = content if isinstance(content, bytes) else content.encode()
        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(name, data))
        return path

    return write


@pytest.fixture
def rated_lines():
    """Lines of `turn_feedback.csv` for dialogues of `a_record`, two ratings each."""
    return lambda *numbers: (
        RATED
        + "".join(
            f"valid-{n:04d},2,2,1,1,Question,4\nvalid-{n:04d},5,6,3,4,Reflection|Suggestions,5\n"
            for n in numbers
        )
    )


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def bring(lake):
    """Ingest paths into the lake under the embedded tenant's policy."""

    def bring(format_, *paths, policy=EMBEDDED, **options):
        found = ingest(
            format_, [str(p) for p in paths], lake=lake, secret=SECRET, policy=policy, **options
        )
        counts = found.as_dict()
        for name, tally in [*counts["tables"].items(), ("quarantine", counts["quarantine"])]:
            whole = tally["kept"] + tally["duplicate"] + tally["quarantined"]
            assert tally["read"] == whole, name
        refused = sum(tally["quarantined"] for tally in counts["tables"].values())
        assert refused == counts["quarantined"] == sum(counts["reasons"].values())
        return counts

    return bring


@pytest.fixture
def rows(lake):
    """Rows of a table as dictionaries."""

    def rows(table):
        purpose = None if table in ("users", "quarantine") else "train"
        return lake.scan(table, purpose=purpose).collect().to_dicts()

    return rows
