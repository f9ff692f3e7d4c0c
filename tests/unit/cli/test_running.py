"""What `rapport run` says to people."""

from rapport.cli.running import print_advice, print_run
from rapport.home import Home
from rapport.lake import Lake
from rapport.report.advice import advise
from rapport.report.facts import Facts
from rapport.testing import a_turn

CARD = {
    "persona_id": "wry-03",
    "users": 30,
    "terms": [{"term": "dear"}],
    "events": [{"name": "dwell", "mean": 7.0, "everybody": 5.0, "low": 1.0, "high": 3.0}],
    "reactions": [
        {"name": "apology", "difference": 0.2, "low": 0.1, "high": 0.3},
        {"name": "question", "difference": -0.2, "low": -0.3, "high": -0.1},
        {"name": "clarify", "difference": 0.1, "low": -0.1, "high": 0.3},
    ],
}


def test_each_job_is_one_line_with_what_it_did_or_why_not(capsys):
    repeats = {"run_id": "r", "started": "2026-01-01"}
    print_run(
        [
            {"job": "embed_users", "turns": 242, "users": 40, "seconds": 8.5},
            {"job": "compute_rewards", "unchanged": True, "repeats": repeats, "rewards": 3},
            {"job": "train_scorers", "skipped": "replies: 25 rows, at least 200 are needed"},
            {"job": "label_arms", "decisions": 0, "note": "no reply to label"},
        ]
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "✓ embed_users 8.5 s one process turns 242, users 40",
        "= compute_rewards 0.0 s unchanged rewards 3",
        "- train_scorers skipped: replies: 25 rows, at least 200 are needed",
        "✓ label_arms 0.0 s one process decisions 0",
        "no reply to label",
    ]


def test_personas_are_shown_with_clear_differences_only(capsys):
    print_run([{"job": "segment_personas", "k": 2, "personas": [CARD, {**CARD, "users": 31}]}])
    said = capsys.readouterr().out
    assert "Personas: 2, chosen from the data" in said
    assert "apology +0.20" in said
    assert "clarify" not in said


def test_one_persona_is_called_what_it_is(capsys):
    print_run([{"job": "segment_personas", "k": 1, "personas": [CARD]}])
    assert "everybody counts as one persona" in capsys.readouterr().out


def test_the_advice_is_that_of_the_report(tmp_path, capsys):
    home = Home(tmp_path / "home")
    lake = Lake(home.lake)
    lake.append("turns", [a_turn(), a_turn(turn_index=1)], writer="test")
    print_advice(home)
    said = " ".join(capsys.readouterr().out.split())
    found = advise(Facts(home, lake, "default"))
    assert len(found) > 1
    for one in found:
        assert " ".join(f"{one.finding}: {one.follows} what to do: {one.remedy}".split()) in said
    assert said.endswith("Next: `rapport report` writes the page about this log.")
