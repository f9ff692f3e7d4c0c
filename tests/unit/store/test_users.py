import datetime as dt
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.store import UserState

FRESH = count()
MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def a_state(day=0, *, user_id="u", persona_id="wry-03", value=0.5, **facts):
    vector = np.full(4, value, np.float32)
    known = {"tenant": "default", "encoder_id": "e"} | facts
    ts = MONDAY + dt.timedelta(days=day)
    return UserState(
        user_id=user_id, last_event_ts=ts, vector=vector, persona_id=persona_id, **known
    )


def test_a_state_comes_back_bit_for_bit(store):
    vector = np.array([1 / 3, -0.0, 1e-40, 3e38], np.float32)
    state = UserState("default", "u", "e", MONDAY + dt.timedelta(microseconds=1), vector)
    assert store.put_user_states([state]) == 1
    found = store.user_state("default", "u", "e")
    assert found.vector.tobytes() == vector.tobytes()
    assert (found.last_event_ts, found.persona_id) == (state.last_event_ts, None)
    for other in (("acme", "u", "e"), ("default", "v", "e"), ("default", "u", "f")):
        assert store.user_state(*other) is None


def test_an_older_state_never_replaces_a_newer_one(store):
    assert store.put_user_states([a_state(2, value=0.2)]) == 1
    assert store.put_user_states([a_state(1, value=0.1)]) == 0
    assert store.user_state("default", "u", "e").vector[0] == np.float32(0.2)
    assert store.put_user_states([a_state(3, value=0.3)]) == 1
    assert store.user_state("default", "u", "e").vector[0] == np.float32(0.3)


def test_a_new_segmentation_moves_users_who_said_nothing_since(store):
    store.put_user_states([a_state(1, persona_id="wry-03")])
    assert store.put_user_states([a_state(1, persona_id="calm-01")]) == 1
    assert store.user_state("default", "u", "e").persona_id == "calm-01"


def test_many_states_are_written_at_once(store):
    states = [a_state(user_id=f"u{n}", value=n) for n in range(900)]
    assert store.put_user_states([*states, a_state(5, user_id="u7", value=77.0)]) == 900
    assert store.user_state("default", "u899", "e").vector[0] == 899
    assert store.user_state("default", "u7", "e").vector[0] == 77
    assert store.put_user_states(states) == 899
    assert store.put_user_states([]) == 0


@pytest.mark.parametrize("batches", [1, 3])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(days=st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_whatever_the_order_the_latest_event_is_known_in_the_end(store, batches, days):
    user = f"u{next(FRESH)}"  # examples share the store
    states = [a_state(day, user_id=user, value=day) for day in days]
    for start in range(batches):
        store.put_user_states(states[start::batches])
    assert store.user_state("default", user, "e").vector[0] == max(days)
