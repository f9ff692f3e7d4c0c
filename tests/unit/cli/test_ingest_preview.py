import json

from typer.testing import CliRunner

from rapport.cli.app import app

CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"hello {i}"},
            {"role": "assistant", "content": "hi"},
        ]
    }
    for i in range(12)
]


def preview(tmp_path, *words):
    log = tmp_path / "my.jsonl"
    log.write_text("\n".join([*map(json.dumps, CHATS), "{broken"]) + "\n")
    home = ["--home", str(tmp_path / "home")]
    return CliRunner().invoke(app, ["ingest", "openai-jsonl", str(log), "--preview", *home, *words])


def test_a_preview_shows_ten_rows_and_counts_and_writes_nothing(tmp_path):
    ran = preview(tmp_path, "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["tables"]["turns"]["kept"] == 24
    assert sum(told["reasons"].values()) == 1
    assert len(told["turns"]) == 10
    assert told["turns"][0]["text"] == "hello 0"
    assert not (tmp_path / "home").exists()


def test_a_preview_for_people_says_that_nothing_was_written(tmp_path):
    ran = preview(tmp_path)
    assert "Nothing was written." in ran.stdout
    assert "hello 0" in ran.stdout


def test_an_input_of_which_nothing_can_be_read_names_the_other_formats(tmp_path):
    log = tmp_path / "my.csv"
    log.write_text("a,b\n1,2\n")
    words = ["ingest", "openai-jsonl", str(log), "--preview", "--home", str(tmp_path / "home")]
    ran = CliRunner().invoke(app, words)
    assert "nothing of it could be read as openai-jsonl" in ran.stdout.replace("\n", " ")
    assert "turns-csv" in ran.stdout
