"""Other people's logs by the real command: every format and kind of place; small ones run."""

import json
import subprocess
import sys

import pytest

from tests.unit.ingest.exports import LOGS, a_chat, as_jsonl


def rapport(home, *words, code=0):
    command = [sys.executable, "-m", "rapport.cli", *words, "--home", str(home)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=400, cwd=home.parent
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def counted(home, *words):
    return json.loads(rapport(home, "ingest", *words, "--json").stdout.splitlines()[-1])


HOLDS = {
    "openai-jsonl": "conversations", "users-csv": "users", "obd": "decisions",
    "vw-dsjson": "decisions",
}  # fmt: skip
"""What a log of a format is counted by, where not by turns."""


@pytest.mark.parametrize("name", sorted(LOGS))
def test_every_format_is_ingested_by_its_command(name, tmp_path):
    build, dump, ending = LOGS[name]
    (tmp_path / f"log{ending}").write_bytes(dump([build(n) for n in range(8)]))
    counts = counted(tmp_path / "home", name, f"log{ending}", "--purposes", "serve,train")
    table = HOLDS.get(name, "turns")
    assert counts["tables"][table]["kept"] >= 8
    assert counts["quarantined"] == 0


def test_files_folders_globs_and_uris_name_the_same_log(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    for part in range(2):
        (folder / f"part-{part}.jsonl").write_bytes(as_jsonl([a_chat(part)]))
    home = tmp_path / "home"
    first = counted(home, "openai-jsonl", "exports")["tables"]["conversations"]
    assert first["kept"] == 2
    for place in ("exports/*.jsonl", f"file://{folder}", f"file://{folder}/part-*.jsonl"):
        assert counted(home, "openai-jsonl", place)["tables"]["conversations"] == {
            "read": 2, "kept": 0, "duplicate": 2, "quarantined": 0,
        }  # fmt: skip


def test_a_wrong_mapping_ends_with_2_and_says_what_there_is(tmp_path):
    (tmp_path / "log.csv").write_text("dialog,who,said\n1,user,Hello\n")
    (tmp_path / "map.yaml").write_text("conversation: dialog\n")
    home = tmp_path / "home"
    wrong = rapport(home, "ingest", "turns-csv", "log.csv", "--mapping", "map.yaml", code=2)
    assert "turns-csv has no such field; known: conversation_id, role, text" in wrong.stderr
    (tmp_path / "map.yaml").write_text("conversation_id: dialogue\nrole: who\ntext: said\n")
    absent = rapport(home, "ingest", "turns-csv", "log.csv", "--mapping", "map.yaml", code=2)
    assert "'dialogue'" in absent.stderr
    assert "it has: dialog, who, said" in absent.stderr
    bare = rapport(home, "ingest", "turns-csv", "log.csv", code=2)
    assert "map yours with --mapping FILE" in bare.stderr


def test_a_small_log_runs_to_its_end_and_says_what_it_was_too_small_for(tmp_path):
    (tmp_path / "my.jsonl").write_bytes(as_jsonl([a_chat(n) for n in range(7)]))
    home = tmp_path / "home"
    assert counted(home, "openai-jsonl", "my.jsonl")["tables"]["conversations"]["kept"] == 7
    done = rapport(home, "run", "--json")
    results = {one["job"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert results["embed_users"]["embedded"] == 14
    assert results["label_arms"]["decisions"] > 0
    assert "at least 200 are needed; ingest more" in results["train_scorers"]["skipped"]
    assert "at least 20 are needed; ingest more" in results["segment_personas"]["skipped"]
    assert results["train_adapters"]["skipped"] == (
        "it needs train_scorers and segment_personas, skipped above"
    )
    for job in ("train_policy", "evaluate_release", "promote_release"):
        assert "skipped above" in results[job]["skipped"]
