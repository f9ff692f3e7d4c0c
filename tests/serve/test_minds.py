"""What serving knows of a user outlives it, and is the same on every gateway."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from rapport.affect.curve import CurvePoint
from rapport.store import Change, MindState, UserState, open_store
from serve.app import AppConfig
from serve.minds import Mind, Minds
from tests.serve.light import serving
from tests.serve.writers import SlowWriter

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HAPPY, SAD = "I love this, thank you so much!", "I feel awful and alone."


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


def heard(minutes, *, vector=(1.0, 1.0)):
    return MindState(
        tenant="default",
        user_id="u",
        encoder_id="e",
        last_ts=MONDAY + dt.timedelta(minutes=minutes),
        vector=None if vector is None else np.array(vector, np.float32),
        episode_id="e1",
        curve=(0.25, 0.5, 3),
        last_arm="clarify",
    )


def known(minutes):
    ts = MONDAY + dt.timedelta(minutes=minutes)
    return UserState("default", "u", "e", ts, np.array([2.0, 2.0], np.float32))


@pytest.mark.parametrize(
    ("mind", "state", "vector"),
    [
        (heard(5), known(4), 1.0),
        (heard(5), known(5), 2.0),
        (heard(5), known(6), 2.0),
        (heard(5, vector=None), known(4), 2.0),
        (heard(5), None, 1.0),
        (None, known(1), 2.0),
    ],
    ids=["serving is ahead", "both know the same", "batch is ahead", "no vector", "new", "unheard"],
)
def test_the_vector_that_knows_most_counts_and_the_conversation_goes_on(store, mind, state, vector):
    if mind:
        store.write([Change.of(minds=[mind])])
    if state:
        store.put_user_states([state])
    found = Minds(store, "e").recall("default", "u")
    assert found.vector is not None
    assert found.vector.tolist() == [vector, vector]
    if mind:
        assert (found.episode_id, found.last_arm) == ("e1", "clarify")
        assert found.curve == CurvePoint(0.25, 0.5, 3)


def test_nothing_is_known_of_a_stranger(store):
    assert Minds(store, "e").recall("default", "nobody") == Mind()


def config(home, url, **more):
    return AppConfig.model_validate({"home": home, "store": url, **more})


def mind_of(graph):
    """What a gateway remembers of the one user there is."""
    planner = graph.light.exchanges.planner
    (row,) = {row["user_id"] for row in graph.store.decisions("default")}
    return planner.minds.recall("default", row)


def test_a_conversation_goes_on_over_a_restart_and_on_another_gateway(tmp_path, store_url):
    settings, writer = config(tmp_path / "home", store_url), SlowWriter(words=3)
    talk: dict[str, Any] = {"rapport::episode_id": "talk", "rapport::mode": "arm_first"}
    with serving(settings, writer) as first:
        arm = first.chat(HAPPY, **talk).json()["rapport"]["arm"]
        before = mind_of(first)
        assert (before.last_arm, before.curve.count) == (arm, 1)
    with serving(settings, writer) as second, serving(settings, writer) as third:
        assert mind_of(second) == mind_of(third) == before
        assert second.chat(SAD, stream=True, **talk).status_code == 200
        after = mind_of(third)
        assert after == mind_of(second)
        assert (after.curve.count, after.episode_id) == (2, "talk")
        assert after.curve.value < before.curve.value


def test_who_did_not_agree_to_be_remembered_is_not(tmp_path, store_url):
    with serving(config(tmp_path / "home", store_url), SlowWriter(words=2)) as graph:
        private: dict[str, Any] = {"rapport::user": {"id": "ann", "purposes": ["serve"]}}
        dry: dict[str, Any] = {"rapport::user": {"id": "ann"}, "rapport::dryrun": True}
        assert graph.chat(**private).status_code == graph.chat(**dry).status_code == 200
        assert mind_of(graph) == Mind()
