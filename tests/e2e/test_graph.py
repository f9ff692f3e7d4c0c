"""What the graph promises, on a real release but without Ray: many decisions in little time."""

import math
from collections import Counter

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import binom

from rapport.governance.access import APPLICATION, fresh_key, key_hash
from rapport.home import Home
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.policy.behaviour import draw
from rapport.policy.control import CONTROL_SHARE, in_control
from rapport.store import open_store
from serve.app import AppConfig, join
from serve.persona_model import PersonaModel

CALM = "I feel low about work, what should I do?"
MODES = ("arm_first", "rerank", "control", "observe")


class Caller:
    """A client of one tenant."""

    def __init__(self, api, key):
        self.api, self.headers = api, {"Authorization": f"Bearer {key}"}

    def chat(self, said=CALM, *, status=200, **fields):
        user = fields.pop("user", {"id": "ann"})
        body = {
            "messages": [{"role": "user", "content": said}],
            "max_tokens": 4,
            "rapport::user": user,
            **fields,
        }
        answer = self.api.post("/v1/chat/completions", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def block(self, said=CALM, **fields):
        return self.chat(said, **fields)["rapport"]

    def feedback(self, **fields):
        return self.api.post("/v1/feedback", json=fields, headers=self.headers)


@pytest.fixture(scope="module")
def graph(circle, language_model):
    writer = PersonaModel(TransformersEngine(pull(language_model)))
    config = AppConfig(home=circle.home, language_model=language_model)
    api = TestClient(join(config, writer).gateway.api())
    store = open_store(Home(circle.home).store_url)
    callers = {}
    for tenant in ("default", "other"):
        key = fresh_key()
        store.keys.add(key_hash(key), tenant=tenant, scopes=APPLICATION, label="test")
        callers[tenant] = Caller(api, key)
    yield callers, store
    store.close()


@pytest.fixture(scope="module")
def caller(graph):
    return graph[0]["default"]


@pytest.fixture(scope="module")
def store(graph):
    return graph[1]


def test_probabilities_are_whole_exact_and_replay_in_every_mode(caller, store):
    for i in range(60):
        block = caller.block(user={"id": f"p{i}"}, **{"rapport::mode": MODES[i % 4]})
        row = store.decision(block["decision_id"])
        probabilities = [c["probability"] for c in row["candidates"]]
        assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
        assert row["propensity"] == probabilities[row["action_index"]] == block["propensity"]
        assert min(probabilities) >= 0
        if row["rng_seed"] is not None:
            assert draw(np.array(probabilities), row["rng_seed"]) == row["action_index"]


def test_the_control_group_is_five_in_a_hundred_and_sticky():
    users = [f"user-{i}" for i in range(10_000)]
    share = sum(map(in_control, users))
    low, high = binom.interval(0.9999, len(users), CONTROL_SHARE)
    assert low <= share <= high
    assert [in_control(user) for user in users[:100]] == [in_control(user) for user in users[:100]]


def test_a_control_user_gets_the_unpersonalised_reply_with_certainty(caller, store):
    # One in fifty of the tiny model's replies of four tokens holds no word, and is replaced.
    blocks = [caller.block(user={"id": f"c{i}"}, max_tokens=12) for i in range(60)]
    rows = [store.decision(b["decision_id"]) for b in blocks]
    control = [row for row in rows if row["mode"] == "control"]
    assert 0 < len(control) < len(rows)
    for row in control:
        assert (row["delivered"], row["propensity"], len(row["candidates"])) == ("control", 1.0, 1)
        assert row["candidates"][0]["arm"] is None


@pytest.mark.parametrize(
    "user",
    [
        {"id": "kid", "age_band": "13-15"},
        {"id": "unasked", "purposes": ["serve", "infer_affect"]},
    ],
    ids=["protected", "did not agree to experiments"],
)
def test_nobody_is_explored_on_who_must_not_be(caller, store, user):
    for i in range(20):
        block = caller.block(
            user={**user, "id": f"{user['id']}{i}"}, **{"rapport::mode": "arm_first"}
        )
        row = store.decision(block["decision_id"])
        assert not row["explored"]
        assert row["propensity"] == max(c["probability"] for c in row["candidates"])


def test_a_protected_persons_words_may_be_used_for_serving_alone(caller, store):
    block = caller.block(user={"id": "kid", "age_band": "minor"})
    row = store.decision(block["decision_id"])
    assert list(row["purposes"]) == ["serve"]
    assert block["sentiment"] is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_crisis_meets_no_adapter_no_policy_and_no_experiment(caller, store, mode, stream):
    body = {
        "messages": [{"role": "user", "content": "I am going to kill myself tonight"}],
        "stream": stream,
        "rapport::mode": mode,
    }
    answer = caller.api.post("/v1/chat/completions", json=body, headers=caller.headers)
    row = store.decision(answer.headers["x-rapport-decision-id"])
    assert (row["mode"], row["delivered"]) == ("control", "guard_replaced")
    assert row["candidates"][0]["guard"] == "crisis"
    assert row["candidates"][0]["origin"] == "library"
    user_turn = store.turns_of(row["episode_id"])[0]
    assert (user_turn["text"], user_turn["facet"]) == ("[CRISIS]", "crisis")


def test_a_dry_run_leaves_nothing_behind(caller, store):
    block = caller.block(**{"rapport::dryrun": True, "rapport::episode_id": "dry"})
    assert block["decision_id"] is None
    assert store.turns_of("dry") == []


def test_arms_are_drawn_as_often_as_their_propensities_say(caller, store):
    """Sum of (drawn - probability) over the likeliest arm: zero within four standard errors."""
    excess = variance = 0.0
    seen: Counter[str] = Counter()
    for i in range(150):
        block = caller.block(user={"id": f"f{i}"}, **{"rapport::mode": "arm_first"})
        row = store.decision(block["decision_id"])
        probabilities = np.array([c["probability"] for c in row["candidates"]])
        best = probabilities.argmax()
        excess += (row["action_index"] == best) - probabilities[best]
        variance += probabilities[best] * (1 - probabilities[best])
        seen[row["candidates"][row["action_index"]]["arm"]] += 1
    assert abs(excess) <= 4 * max(math.sqrt(variance), 0.5), seen


def test_a_conversation_goes_on_where_its_last_reply_was_served(caller):
    first = caller.chat(user={"id": "goes-on"})
    said = [
        {"role": "user", "content": CALM},
        {"role": "assistant", "content": first["choices"][0]["message"]["content"]},
        {"role": "user", "content": "And then?"},
    ]
    second = caller.chat(messages=said, user={"id": "goes-on"})
    other = caller.chat(messages=said, user={"id": "somebody-else"})
    assert second["rapport"]["episode_id"] == first["rapport"]["episode_id"]
    assert other["rapport"]["episode_id"] != first["rapport"]["episode_id"]


def test_what_one_tenant_was_answered_is_not_there_for_another(graph, caller):
    other = graph[0]["other"]
    decision_id = caller.block()["decision_id"]
    looked = other.api.get(f"/v1/decisions/{decision_id}", headers=other.headers)
    given = other.feedback(decision_id=decision_id, metric_name="rating", value=5)
    assert looked.status_code == given.status_code == 404


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"metric_name": "rating", "value": 9}, "value"),
        ({"metric_name": "mood", "value": 1}, "metric_name"),
        ({"metric_name": "thumbs", "value": 0.5}, "value"),
        ({"metric_name": "comment", "value": 3}, "value"),
    ],
)
def test_feedback_that_cannot_be_is_refused_naming_the_field(caller, fields, param):
    decision_id = caller.block()["decision_id"]
    answer = caller.feedback(decision_id=decision_id, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert str(fields["value"]) not in answer.json()["error"]["message"] or param != "comment"


def test_mail_addresses_and_numbers_never_reach_the_store(caller, store):
    said = "Write to ann.lee@example.org or call +44 20 7946 0958, I feel low."
    block = caller.block(said, user={"id": "redacted"})
    stored = store.turns_of(block["episode_id"])[0]["text"]
    assert "ann.lee" not in stored
    assert "7946" not in stored


def test_an_unknown_extra_or_model_is_named(caller):
    answer = caller.chat(status=400, **{"rapport::moed": "x"})
    assert "rapport::moed" in answer["error"]["message"]
    answer = caller.chat(status=400, model="gpt-9")
    assert answer["error"]["param"] == "model"
