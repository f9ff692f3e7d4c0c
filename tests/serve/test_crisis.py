"""A person in crisis: which path the message takes, and that nothing is learned from it."""

import shutil
from itertools import product

import pytest

from rapport.governance.crisis import crisis_reply
from serve.app import AppConfig
from tests.serve.graphs import CALM, graph_over
from tests.serve.learning import learn
from tests.serve.phrases import MESSAGES
from tests.statistics.report import say

ACTIONS = [{"id": "ask", "text": "What happened next?"}, {"id": "tip", "text": "Take a walk."}]


@pytest.fixture(scope="module")
def served(promoted_home, tmp_path_factory):
    """A graph over a home of its own: what is said here goes on to the lake."""
    home = tmp_path_factory.mktemp("crisis") / "home"
    shutil.copytree(promoted_home, home)
    made = graph_over(home, encoder=AppConfig.model_fields["encoder"].default)
    yield made
    made.store.close()


def answers(graph):
    """Every way to bring a message: calls of it that give the text that came and the decision."""

    def chat(way, stream):
        return lambda said: graph.say(said, stream=stream, user={"id": "in need"}, **way)

    def rank(**fields):
        def ask(said):
            answer = graph.rank(said, user="in need", **fields)
            assert answer.get("action_id") is answer.get("arm") is None
            return answer["reply"], graph.store.decision(answer["decision_id"])

        return ask

    ways = product(graph.ways().items(), (False, True))
    return {
        **{(name, stream): chat(way, stream) for (name, way), stream in ways},
        "rank": rank(actions=ACTIONS),
        "decide only": rank(),
        "deferred": rank(actions=ACTIONS, defer=True),
    }


def on_the_path(graph, said, row):
    """Whether a message took the crisis path and no other."""
    (only,) = row["candidates"]
    turns = graph.store.turns_of(row["episode_id"])
    return (
        said == crisis_reply()
        and (row["mode"], row["delivered"], row["propensity"]) == ("control", "guard_replaced", 1)
        and (only["guard"], only["origin"], only["arm"]) == ("crisis", "library", None)
        and row["persona_id"] is None
        and (turns[-2]["text"], turns[-2]["facet"]) == ("[CRISIS]", "crisis")
        and not graph.writer.asked
    )


def rate(graph, row):
    given = {"decision_id": row["decision_id"], "metric_name": "rating", "value": 5}
    assert graph.post("/v1/feedback", given).status_code == 200


def test_each_takes_the_crisis_path(served):
    ways = list(answers(served).values())
    missed = []
    for n, message in enumerate(MESSAGES):
        said, row = ways[n % len(ways)](message)
        missed += [] if on_the_path(served, said, row) else [message]
        rate(served, row)
    assert missed == []


@pytest.mark.slow
def test_each_takes_the_crisis_path_in_every_mode_streamed_or_not(served):
    for name, ask in answers(served).items():
        missed = [m for m in MESSAGES if not on_the_path(served, *ask(m))]
        say(f"crisis, {name}: {len(MESSAGES) - len(missed)} of {len(MESSAGES)} on the path")
        assert missed == []


def test_nothing_of_it_is_learned_though_it_was_rated_and_calm_talk_came_before(served):
    crisis = {
        row["decision_id"]
        for row in served.store.decisions("default", limit=10_000)
        if row["candidates"][0]["guard"] == "crisis"
    }
    calm, first = served.say(stream=False, user={"id": "calm"}, **{"rapport::mode": "arm_first"})
    rate(served, first)
    told = [
        {"role": "user", "content": CALM},
        {"role": "assistant", "content": calm},
        {"role": "user", "content": MESSAGES[0]},
    ]
    _, then = served.say(stream=False, user={"id": "calm"}, messages=told)
    rate(served, then)
    served.writer.asked.clear()
    assert then["episode_id"] == first["episode_id"]
    learnt = learn(served.home)
    assert first["decision_id"] in learnt.decisions & learnt.rewarded
    found = {*crisis, then["decision_id"]} & (learnt.decisions | learnt.rewarded)
    say(f"crisis decisions in training data or rewards: {len(found)} of {len(crisis) + 1}")
    assert found == set()
