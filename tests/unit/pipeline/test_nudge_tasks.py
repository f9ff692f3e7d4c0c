import datetime as dt

import pytest

from rapport.lake import Lake
from rapport.pipeline.nudge_tasks import open_tasks
from rapport.testing import a_turn

NOW = dt.datetime(2026, 7, 10, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def at(lake, number, ts, *, kind="task", **columns):
    due = columns.pop("due", None)
    features = columns.pop("features", None) or ({"due": due.timestamp()} if due else None)
    base = {"purposes": ["serve", "proactive"], "text": None, "turn_id": str(number)}
    task = {"task_id": "essay", "features": features, "ts": ts, "kind": kind}
    turn = a_turn(**{**base, **task, "turn_index": number, **columns})
    lake.append("turns", [turn], writer=f"test{number}")


def found(lake):
    return open_tasks(lake, tenant="default", now=NOW).to_dicts()


def test_urgency_is_the_share_of_the_time_that_has_passed(lake):
    at(lake, 0, NOW - 3 * DAY, due=NOW + DAY)
    (task,) = found(lake)
    assert task["urgency"] == pytest.approx(0.75)
    assert (task["due"], task["begun"]) == (NOW + DAY, 0.0)


def test_of_a_long_task_the_last_fortnight_counts(lake):
    at(lake, 0, NOW - 100 * DAY, due=NOW + 20 * DAY)
    assert found(lake)[0]["urgency"] == 0.0


def test_a_step_begins_a_task_and_a_done_one_ends_it(lake):
    at(lake, 0, NOW - DAY, due=NOW + DAY)
    at(lake, 1, NOW, kind="task_step")
    assert found(lake)[0]["begun"] == 1.0
    at(lake, 2, NOW, kind="task_step", features={"done": 1.0})
    assert found(lake) == []


def test_a_date_may_move_and_what_is_over_is_over(lake):
    at(lake, 0, NOW - 2 * DAY, due=NOW - DAY)
    assert found(lake) == []
    at(lake, 1, NOW - DAY, due=NOW + DAY)
    assert found(lake)[0]["urgency"] == pytest.approx(0.5)


def test_rows_of_users_who_did_not_agree_are_not_read(lake):
    at(lake, 0, NOW - DAY, due=NOW + DAY, purposes=["serve", "train"])
    assert found(lake) == []


def test_tasks_without_a_date_and_of_the_future_are_none_yet(lake):
    at(lake, 0, NOW - DAY)
    at(lake, 1, NOW + DAY, due=NOW + 2 * DAY, task_id="later")
    assert found(lake) == []
