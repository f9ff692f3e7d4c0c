"""A protected user: nothing is left to chance, nothing warm, nothing kept, nothing learned."""

import shutil
from itertools import cycle, islice

import pytest

from rapport.home import Home, user_key
from tests.serve.graphs import graph_over
from tests.serve.learning import learn
from tests.statistics.report import say

KID = {"id": "kid", "age_band": "13-15", "purposes": ["serve", "memory", "train", "experiment"]}
ACTIONS = [{"id": "ask", "text": "What happened next?"}, {"id": "bare"}, {"id": "also"}]


@pytest.fixture(scope="module")
def served(promoted_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("protected") / "home"
    shutil.copytree(promoted_home, home)
    made = graph_over(home)
    yield made
    made.store.close()


def rows_of(graph, n):
    """n decisions of the protected user, over all modes."""

    def chat(way, stream):
        return lambda: graph.say(stream=stream, user=KID, **way)[1]

    def rank(**fields):
        return lambda: graph.store.decision(graph.rank(user=KID, **fields)["decision_id"])

    asks = [chat(way, stream) for way in graph.ways().values() for stream in (False, True)]
    return [ask() for ask in islice(cycle([*asks, rank(), rank(actions=ACTIONS)]), n)]


def prove(graph, n):
    graph.writer.asked.clear()
    rows = rows_of(graph, n)
    explored = [r for r in rows if r["explored"] or r["propensity"] != 1]
    warm = [request for request in graph.writer.asked if request.adapter is not None]
    say(f"protected: {len(explored)} explored of {len(rows)}, {len(warm)} with an adapter")
    assert explored == warm == []
    assert graph.writer.asked
    assert {tuple(row["purposes"]) for row in rows} == {("serve",)}
    assert not any(row["features"] for row in rows)  # no affect of his is read, nor logged


def test_nothing_is_left_to_chance_and_no_adapter_answers(served):
    prove(served, 72)


@pytest.mark.slow
def test_nothing_is_left_to_chance_in_a_thousand_decisions(served):
    prove(served, 1000)


def test_nothing_is_remembered_or_learned(served):
    rows = rows_of(served, 18)
    for row in rows:
        given = {"decision_id": row["decision_id"], "metric_name": "rating", "value": 5}
        assert served.post("/v1/feedback", given).status_code == 200
    served.say(stream=False, user={"id": "adult"})
    kid, adult = (user_key(Home(served.home).secret(), "default", u) for u in ("kid", "adult"))
    learnt = learn(served.home)
    assert {kid, adult} <= learnt.lake_users
    assert adult in learnt.users
    assert kid not in learnt.users
    assert not {row["decision_id"] for row in rows} & (learnt.decisions | learnt.rewarded)
    minds = served.light.exchanges.planner.minds
    assert minds.recall("default", adult).vector is not None
    assert minds.recall("default", kid).vector is None
