import json

import pytest

from rapport.cli.demo_journal import Journal, ingested_rows, served_decisions
from rapport.home import Home
from rapport.lake import Lake
from rapport.testing import a_decision, a_turn


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def journal(home, *, users=200, seed=0):
    return Journal(home, sets=[f"seed={seed}"], about={"users": users})


def a_demo(home):
    """A demo that was stopped after two steps, each of which left something."""
    (home.work / "encoder").mkdir(exist_ok=True)
    (home.work / "encoder/weights").write_text("1")
    Lake(home.lake).append("turns", [a_turn()], writer="test")
    begun = journal(home)
    begun.note("ingest_logs", {"turns": 1})
    begun.note("embed_users", {"users": 1})


def test_a_demo_goes_on_after_the_last_step_that_ended(home):
    a_demo(home)
    again = journal(home)
    assert again.goes_on == 2
    assert again.take("ingest_logs")["turns"] == 1
    assert again.take("embed_users")["users"] == 1
    assert again.take("compute_rewards") is None


def test_another_demo_reuses_nothing(home):
    a_demo(home)
    for other in ({"users": 300}, {"seed": 1}):
        assert journal(home, **other).goes_on == 0


def test_other_settings_in_the_environment_make_it_another_demo(home, monkeypatch):
    a_demo(home)
    monkeypatch.setenv("RAPPORT_SHARED_TOKENS", "77")
    assert journal(home).goes_on == 0


def test_what_a_step_left_must_still_stand_and_so_must_all_before_it(home):
    a_demo(home)
    begun = journal(home)
    begun.take("ingest_logs")
    begun.take("embed_users")
    begun.note("compute_rewards", {})
    (home.work / "encoder/weights").write_text("2")
    again = journal(home)
    assert again.take("ingest_logs")
    assert again.take("embed_users") is None
    assert again.take("compute_rewards") is None


def test_a_log_that_grew_by_what_was_served_is_the_same_log(home):
    a_demo(home)
    lake = Lake(home.lake)
    lake.append("turns", [a_turn(turn_id="t1", source="serve")], writer="test")
    assert journal(home).take("ingest_logs")
    lake.append("turns", [a_turn(turn_id="t2", source="openai-jsonl")], writer="test")
    assert journal(home).take("ingest_logs") is None


def test_served_decisions_are_told_from_those_of_the_log(home):
    lake = Lake(home.lake)
    assert served_decisions(lake) == 0
    rows = [a_decision(), a_decision(decision_id="d2", source="serve")]
    lake.append("decisions", rows, writer="test")
    assert served_decisions(lake) == 1
    assert ingested_rows(lake)["decisions"] == 1


def test_a_step_that_is_done_again_forgets_what_came_after(home):
    a_demo(home)
    begun = journal(home)
    begun.note("ingest_logs", {"turns": 2})
    kept = json.loads((home.work / "demo.json").read_text())
    assert list(kept["steps"]) == ["ingest_logs"]
