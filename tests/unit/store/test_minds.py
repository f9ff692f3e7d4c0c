import datetime as dt

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from rapport.store import Change, MindState
from rapport.testing import a_decision, a_turn

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def a_mind(minutes=0, *, user_id="u", vector=(0.5, -0.5), **facts):
    told = {"episode_id": "e1", "curve": (0.25, 1 / 3, 2), "last_arm": "clarify"} | facts
    return MindState(
        tenant="default",
        user_id=user_id,
        encoder_id="e",
        last_ts=MONDAY + dt.timedelta(minutes=minutes),
        vector=None if vector is None else np.array(vector, np.float32),
        **told,
    )


def put(store, *minds):
    store.write([Change.of(minds=[mind]) for mind in minds])


def found(store, user_id="u"):
    return store.mind("default", user_id, "e")[0]


def test_a_mind_comes_back_bit_for_bit(store):
    mind = a_mind(vector=(1 / 3, 1e-40))
    put(store, mind)
    back = found(store)
    assert back.vector.tobytes() == mind.vector.tobytes()
    assert (back.curve, back.last_ts) == (mind.curve, mind.last_ts)
    assert (back.episode_id, back.last_arm) == ("e1", "clarify")
    assert found(store, "nobody") is None


def test_what_was_heard_later_stays_whatever_the_order(store):
    put(store, a_mind(2, last_arm="late"))
    put(store, a_mind(1, last_arm="early"))
    assert found(store).last_arm == "late"
    put(store, a_mind(5, last_arm="last"), a_mind(4, last_arm="before"))
    assert found(store).last_arm == "last"


def test_a_mind_without_a_vector_replaces_one_with_it(store):
    put(store, a_mind(0))
    put(store, a_mind(1, vector=None, last_arm=None, episode_id=None))
    back = found(store)
    assert (back.vector, back.last_arm, back.episode_id) == (None, None, None)


def test_a_mind_is_written_with_its_exchange_or_not_at_all(store):
    broken = Change.of([("turns", a_turn())], opens=a_decision(), minds=[a_mind()])
    store.open_decision(a_decision(tenant="another"))
    with pytest.raises(IntegrityError):
        store.write([broken])
    assert found(store) is None
