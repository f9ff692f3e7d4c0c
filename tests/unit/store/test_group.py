import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from rapport.errors import RowError, UnavailableError
from rapport.store import Change, Episode, GroupCommitter, open_store, tables
from rapport.testing import a_decision, a_turn, some_feedback


def a_row(number):
    return [("turns", a_turn(turn_index=2 * number))]


@pytest.fixture
def commits(store):
    """One entry for every transaction the store commits."""
    seen: list[object] = []
    event.listen(store._database._engine, "commit", seen.append)
    return seen


def held(store):
    """Hold every other commit up."""
    return store._database.writing()


def count(store):
    return len(store.turns_of("conversation-0"))


def test_every_caller_gets_his_own_answer_when_his_rows_are_there(store):
    with GroupCommitter(store) as group, ThreadPoolExecutor(8) as pool:

        def commit(number):
            rows = [*a_row(number), ("feedback", some_feedback(feedback_id="shared"))]
            flags = group.commit(rows)
            assert any(t["turn_index"] == 2 * number for t in store.turns_of("conversation-0"))
            return flags

        answers = list(pool.map(commit, range(40)))
    assert [first for first, _ in answers] == [True] * 40
    assert sum(second for _, second in answers) == 1
    assert count(store) == 40


def test_callers_that_wait_together_share_a_transaction(store, commits):
    with GroupCommitter(store, batch=16) as group, ThreadPoolExecutor(24) as pool:
        with held(store):
            waiting = [pool.submit(group.commit, a_row(n)) for n in range(24)]
            wait_until(lambda: inside(group) == 24)
        assert all(future.result(30) == (True,) for future in waiting)
    assert len(commits) <= 1 + 3  # ours, the first callers, sixteen, the rest


def wait_until(condition):
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it never became true")


def inside(group):
    return group._writing + len(group._waiting)


def test_episodes_are_written_with_the_rows(store):
    position = Episode("default", "u", "0" * 64, "e", 2)
    with GroupCommitter(store) as group:
        group.commit(a_row(0), episodes=[position])
    assert store.episode_by_prefix("default", "u", "0" * 64) == position


def test_coroutines_commit_without_blocking_each_other(store):
    async def all_at_once():
        with GroupCommitter(store) as group:
            return await asyncio.gather(*(group.commit_async(a_row(n)) for n in range(30)))

    assert asyncio.run(all_at_once()) == [(True,)] * 30
    assert count(store) == 30


def test_a_cancelled_caller_disturbs_nobody(store):
    async def cancel_one():
        with GroupCommitter(store) as group:
            first = asyncio.ensure_future(group.commit_async(a_row(0)))
            await asyncio.sleep(0)
            first.cancel()
            return await group.commit_async(a_row(1))

    assert asyncio.run(cancel_one()) == (True,)
    assert count(store) == 2


def test_a_bad_row_is_its_callers_alone(store):
    with GroupCommitter(store) as group:
        with pytest.raises(RowError):
            group.commit([*a_row(0), ("turns", {"turn_id": "half"})])
        assert group.commit(a_row(1)) == (True,)
    assert count(store) == 1


def test_an_id_that_is_there_already_is_its_callers_alone(store):
    opened = a_decision(decision_id="twice")
    store.open_decision(opened | {"tenant": "another"})
    with GroupCommitter(store) as group, ThreadPoolExecutor(4) as pool:

        def write(change):
            return asyncio.run(group.write_async(change))

        with held(store):
            good = [pool.submit(write, Change.of(a_row(n))) for n in range(3)]
            bad = pool.submit(write, Change.of(opens=opened))
            wait_until(lambda: inside(group) == 4)
        assert [future.result(30) for future in good] == [(True,)] * 3
        assert isinstance(bad.exception(30), IntegrityError)
    assert count(store) == 3


def test_a_caller_may_close_what_opens_in_the_same_group(store):
    row = a_decision(tokens_out=0)
    store.write([Change.of(closes=row | {"tokens_out": 9}), Change.of(opens=row)])
    assert store.decision(row["decision_id"])["tokens_out"] == 9
    assert store.unfinished() == 0
    assert store.outbox.waiting() == {"decisions": 1}


def test_a_failing_transaction_is_reported_to_each_of_its_callers_and_the_next_works(store):
    with GroupCommitter(store) as group, ThreadPoolExecutor(6) as pool:
        with held(store) as connection:
            futures = [pool.submit(group.commit, a_row(n)) for n in range(6)]
            wait_until(lambda: inside(group) == 6)
            tables.turns.drop(connection)
        assert all("turns" in str(future.exception(30)) for future in futures)
        tables.turns.create(store._database._engine)
        assert group.commit(a_row(9)) == (True,)
    assert store.outbox.waiting() == {"turns": 1}


def test_a_full_queue_refuses_instead_of_growing(store):
    with GroupCommitter(store, capacity=2) as group, ThreadPoolExecutor(3) as pool:
        with held(store):
            taken = pool.submit(group.commit, a_row(0))
            wait_until(lambda: group._writing == 1)
            queued = [pool.submit(group.commit, a_row(n)) for n in (1, 2)]
            wait_until(lambda: len(group._waiting) == 2)
            with pytest.raises(UnavailableError, match="too many"):
                group.commit(a_row(3))
        assert [future.result(30) for future in (taken, *queued)] == [(True,)] * 3
    assert count(store) == 3


def test_closing_lets_waiting_rows_through_and_refuses_later_ones(url):
    store = open_store(url)
    group = GroupCommitter(store)
    with ThreadPoolExecutor(5) as pool:
        with held(store):
            futures = [pool.submit(group.commit, a_row(n)) for n in range(5)]
            wait_until(lambda: inside(group) == 5)
            closing = threading.Thread(target=group.close)
            closing.start()
            wait_until(lambda: group._closed)
        assert [future.result(30) for future in futures] == [(True,)] * 5
    closing.join(30)
    with pytest.raises(UnavailableError, match="closed"):
        group.commit(a_row(9))
    group.close()
    store.close()
