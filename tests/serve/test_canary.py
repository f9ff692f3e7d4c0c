"""A release that is tried: on a part of the users, or as a shadow that reaches nobody."""

import math
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rapport.canaries import Canary, begin, end, running
from rapport.config import JobConfig
from rapport.home import Home, user_key
from rapport.lake import lake_of
from rapport.pipeline.canaries import act
from rapport.pipeline.outbox import relay_all
from rapport.pipeline.rewards import reward_log
from rapport.policy.behaviour import draw
from rapport.policy.control import in_control
from rapport.release import current, promote
from serve.shadow import FAILED
from tests.serve.graphs import control_user, graph_over
from tests.serve.releases import another, flip_a_byte

USERS = [f"u{i}" for i in range(40)]


@pytest.fixture
def graph(promoted_home, tmp_path):
    """A graph over a copy of the promoted home, so that its releases may be harmed."""
    made = graph_over(shutil.copytree(promoted_home, tmp_path / "home"), poll_s=0.001)
    yield made
    made.light.close()
    made.store.close()


@pytest.fixture
def fresh(graph):
    """Another release of the home, published and not promoted."""
    return another(releases(graph), temperature=0.7)


def releases(graph):
    return Home(graph.home).releases


def tried(graph, fresh, *, share):
    canary = Canary(release=fresh, against=serving(graph), share=share, since=datetime.now(UTC))
    begin(releases(graph), canary)
    graph.light.watch.look()
    return canary


def serving(graph):
    folder = current(releases(graph))
    assert folder is not None
    return folder.name


def row(graph, user, **fields):
    block = graph.chat(user={"id": user}, **fields)["rapport"]
    return graph.store.decision(block["decision_id"])


def key(graph, user):
    return user_key(Home(graph.home).secret(), "default", user)


def assert_exact(row):
    probabilities = [c["probability"] for c in row["candidates"]]
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
    assert row["propensity"] == probabilities[row["action_index"]]
    if row["rng_seed"] is not None:
        assert draw(np.array(probabilities), row["rng_seed"]) == row["action_index"]


def test_it_answers_whom_the_hash_deals_it_with_its_own_policy_and_exact_chances(graph, fresh):
    canary = tried(graph, fresh, share=0.5)
    old = serving(graph)
    policies: dict[str, set[str]] = {}
    for user in USERS:
        found = row(graph, user)
        held = in_control(key(graph, user))
        dealt = canary.takes(key(graph, user)) and not held
        assert found["release_id"] == (fresh if dealt else old)
        assert_exact(found)
        if not held:
            policies.setdefault(found["release_id"], set()).add(found["policy_id"])
    assert policies.keys() == {fresh, old}
    assert len(policies[fresh] | policies[old]) == 2


def test_a_user_stays_where_he_was_dealt_and_ranks_there_too(graph, fresh):
    canary = tried(graph, fresh, share=0.5)
    mine = next(u for u in USERS if canary.takes(key(graph, u)) and not in_control(key(graph, u)))
    assert {row(graph, mine)["release_id"] for _ in range(3)} == {fresh}
    assert graph.rank(user=mine)["rapport"]["release_id"] == fresh


def test_control_protected_and_unwilling_users_are_not_tried_on(graph, fresh):
    tried(graph, fresh, share=0.5)
    old = serving(graph)
    control = control_user(graph.home)
    assert row(graph, control)["mode"] == "control"
    for fields in ({"age_band": "minor"}, {"purposes": ["serve", "memory"]}):
        found = [graph.chat(user={"id": user, **fields})["rapport"] for user in USERS[:12]]
        assert {block["release_id"] for block in found} == {old}


def test_who_names_a_persona_or_a_model_gets_what_serves(graph, fresh):
    tried(graph, fresh, share=0.5)
    old = serving(graph)
    persona = graph.light.exchanges.bundles.now.personas[0]
    for user in USERS[:8]:
        assert row(graph, user, model=f"rapport:{persona}")["release_id"] == old


def test_what_is_switched_off_is_off_for_it_too(graph, fresh):
    tried(graph, fresh, share=0.5)
    graph.store.switches.turn("arm", "suggestion", off=True, by="test")
    graph.light.watch.look()
    for user in USERS[:12]:
        found = row(graph, user)
        assert "suggestion" not in {c["arm"] for c in found["candidates"]}


def test_it_ends_with_its_file_and_with_the_release_it_was_tried_against(graph, fresh):
    tried(graph, fresh, share=0.5)
    end(releases(graph))
    graph.light.watch.look()
    assert {row(graph, user)["release_id"] for user in USERS[:10]} == {serving(graph)}
    tried(graph, fresh, share=0.5)
    third = another(releases(graph), temperature=0.9)
    promote(releases(graph), third)
    graph.light.watch.look()
    assert {row(graph, user)["release_id"] for user in USERS[:10]} == {third}


def test_one_that_cannot_be_loaded_answers_nobody_and_is_told(graph, fresh):
    flip_a_byte(releases(graph) / fresh)
    tried(graph, fresh, share=0.5)
    told = graph.api.get("/readyz").json()
    assert told["canary"]["release_id"] == fresh
    assert "policy.safetensors" in told["canary"]["reason"]
    assert {row(graph, user)["release_id"] for user in USERS[:10]} == {serving(graph)}
    (releases(graph) / "CANARY").write_text("{}")
    graph.light.watch.look()
    assert "CANARY cannot be read" in graph.api.get("/readyz").json()["canary"]["reason"]


@pytest.mark.parametrize("mode", ["arm_first", "observe"])
def test_a_shadow_is_logged_beside_what_is_served_and_reaches_nobody(graph, fresh, mode):
    tried(graph, fresh, share=0.0)
    assert graph.api.get("/readyz").json()["canary"]["share"] == 0.0
    for user in USERS[:6]:
        found = row(graph, user, **{"rapport::mode": mode})
        assert found["release_id"] == serving(graph)
        assert_exact(found)
        chances = [dict(c["features"])[f"shadow:{fresh}"] for c in found["candidates"]]
        assert math.fsum(chances) == pytest.approx(1, abs=1e-9)
        assert chances != [c["probability"] for c in found["candidates"]]


def test_a_shadow_that_fails_harms_nothing(graph, fresh, monkeypatch):
    def failing(*_):
        raise ValueError

    tried(graph, fresh, share=0.0)
    monkeypatch.setattr("serve.shadow._drawn", lambda *_, **__: failing())
    found = row(graph, graph.user, **{"rapport::mode": "arm_first"})
    assert FAILED in found["degraded"]
    assert_exact(found)


def test_harm_that_people_tell_of_over_http_rolls_it_back(graph, fresh):
    canary = tried(graph, fresh, share=0.5)
    for user in (f"h{i}" for i in range(60)):
        block = graph.chat(user={"id": user})["rapport"]
        rating = 1 if block["release_id"] == fresh else 5
        told = {"decision_id": block["decision_id"], "metric_name": "rating", "value": rating}
        answer = graph.post("/v1/feedback", {**told, "feedback_id": f"of-{user}"})
        assert answer.status_code == 200, answer.text
    config = JobConfig.model_validate({"home": graph.home, "encoder": f"file:{graph.home}/encoder"})
    relay_all(config)
    reward_log(config)
    home, lake = Home(graph.home), lake_of(config)
    early = act(home, lake, now=datetime.now(UTC))
    assert early is not None
    assert early.decision == "go on"
    found = act(home, lake, now=datetime.now(UTC) + canary.settles + timedelta(hours=1))
    assert found is not None
    assert (found.decision, running(releases(graph))) == ("roll back", None)
    graph.light.watch.look()
    assert {row(graph, f"h{i}")["release_id"] for i in range(12)} == {serving(graph)}
