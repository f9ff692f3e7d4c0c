from datetime import UTC, datetime, timedelta

from rapport.store import Change
from rapport.testing import a_decision, a_turn

LATER = datetime(2100, 1, 1, tzinfo=UTC)


def waiting(store):
    return store.outbox.waiting().get("decisions", 0)


def test_an_opened_decision_is_on_disk_but_not_yet_on_its_way_to_the_lake(store):
    row = a_decision(tokens_out=0)
    store.open_decision(row)
    assert store.decision(row["decision_id"])["tokens_out"] == 0
    assert waiting(store) == 0


def test_a_closed_decision_carries_what_was_really_said_once(store):
    row = a_decision(tokens_out=0)
    store.open_decision(row)
    turn = a_turn(role="assistant")
    for _ in range(2):
        store.close_decision(row | {"tokens_out": 9}, [("turns", turn)])
    assert store.decision(row["decision_id"])["tokens_out"] == 9
    assert store.outbox.waiting() == {"decisions": 1, "turns": 1}


def test_a_decision_that_is_kept_open_is_not_abandoned(store):
    row, now = a_decision(), datetime.now(UTC)
    store.write([Change.of(opens=row, until=now + timedelta(seconds=30))])
    assert store.close_abandoned(now + timedelta(seconds=29)) == 0
    store.keep_open([row["decision_id"], "another gateway's"], until=now + timedelta(minutes=20))
    assert store.close_abandoned(now + timedelta(minutes=19)) == 0
    assert store.close_abandoned(now + timedelta(minutes=21)) == 1


def test_a_decision_whose_process_died_is_closed_as_abandoned(store):
    row = a_decision(ts=datetime.now(UTC))
    store.open_decision(row)
    assert store.close_abandoned(row["ts"] + timedelta(minutes=9)) == 0
    assert store.close_abandoned(LATER) == 1
    closed = store.decision(row["decision_id"])
    assert (closed["delivered"], closed["degraded"]) == ("fallback", "abandoned")
    assert waiting(store) == 1
    assert store.close_abandoned(LATER) == 0
