"""Real decisions explained: the same numbers again, what did what, and what nobody may read."""

import json
import shutil
from typing import Any

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.explanation.explain import explain
from rapport.explanation.shape import Explanation
from rapport.home import Home
from rapport.lake import Lake
from rapport.store import open_store, relay
from tests.serve.graphs import control_user
from tests.serve.releases import flip_a_byte

ACTIONS = [
    {"id": "ask", "text": "What has been the hardest part of it?"},
    {"id": "bare"},
    {"id": "told", "features": {"question": 1.0, "price": 2.0}},
    {"id": "out", "text": "A lot of people feel this way."},
    {"id": "harm", "text": "You should just kill yourself."},
]
SAID = ("I feel low about work, what should I do?", "I had a good day for once!")


def explained(graph, row, *, status=200):
    path = f"/v1/decisions/{row['decision_id']}/explanation"
    answer = graph.api.get(path, headers=graph.headers)
    assert answer.status_code == status, answer.text
    return Explanation.model_validate(answer.json())


def drawn(graph):
    """Decisions of every kind that draws, by kind; each user speaks twice."""
    ways = graph.ways()
    mine = {"rapport::candidates": ["Could you say a bit more about that?"]}
    chats = {name: ways[name] for name in ("arm_first", "rerank", "observe", "pinned")}
    chats["candidates"] = mine
    rows = {}
    for name, way in chats.items():
        for said in SAID:
            rows[name, said] = graph.say(said, stream=False, **way)[1]
    ranked = graph.rank(SAID[0], actions=ACTIONS, excluded=["out"])
    rows["actions", SAID[0]] = graph.store.decision(ranked["decision_id"])
    rows["decide only", SAID[0]] = graph.store.decision(graph.rank(SAID[0])["decision_id"])
    return rows


def test_the_product_of_factors_gives_the_logged_distribution_and_everything_adds_up(fast):
    for kind, row in drawn(fast).items():
        told = explained(fast, row)
        assert told.model.found, kind
        assert told.chance.largest_difference <= 1e-9, kind
        assert told.chance.seed_replays, kind
        model, logged = told.model, row["candidates"]
        free = [each for each in told.candidates if each.kept_out is None]
        for each in free:
            assert each.score == pytest.approx(each.nlp**model.a * each.rec**model.b, rel=1e-9)
            assert each.replayed == pytest.approx(each.probability, abs=1e-9)
            mixed = (1 - sum(e.floor for e in free)) * each.share + each.floor
            assert mixed == pytest.approx(each.probability, abs=1e-9)
        assert [each.probability for each in told.candidates] == [c["probability"] for c in logged]
        check_contributions(told, kind)


def check_contributions(told, kind):
    parts = told.contributions
    assert parts.why_none is None, kind
    assert {"persona", "mood", "curve"} <= {part.group for part in parts.groups}
    for each in told.candidates:
        if each.kept_out:
            continue
        effects = [
            effect
            for part in parts.groups
            for effect in part.candidates
            if effect.candidate_id == each.candidate_id
        ]
        own = sum(effect.rec or 0.0 for effect in effects)
        name = each.candidate_id
        assert parts.rec_neutral[name] + own + parts.rec_together[name] == pytest.approx(each.rec)
    for part in parts.groups:
        moved = sum(effect.probability or 0.0 for effect in part.candidates)
        assert moved == pytest.approx(0, abs=1e-9)  # what one gains the others lose


def test_a_pinned_persona_decides_as_that_persona(fast):
    names = fast.light.exchanges.bundles.now.personas
    recs = []
    for name in names:
        told = explained(fast, fast.say(stream=False, model=f"rapport:{name}")[1])
        assert told.persona.probabilities == {other: float(other == name) for other in names}
        assert told.persona.pinned
        recs.append([each.rec for each in told.candidates])
    assert len({*map(tuple, recs)}) == len(names) > 1


def test_what_was_kept_out_is_named_with_its_reason(fast):
    ranked = fast.rank(actions=ACTIONS, excluded=["out"])
    told = explained(fast, fast.store.decision(ranked["decision_id"]))
    by = {veto.name: veto.by for veto in told.vetoed if veto.what == "candidate"}
    assert by == {"out": "excluded", "harm": "guard"}
    kept = {each.candidate_id: each.kept_out for each in told.candidates}
    assert "self harm" in kept["harm"].meaning or "self_harm" in kept["harm"].meaning
    assert next(each.text for each in told.candidates if each.candidate_id == "harm") is None


def test_an_arm_that_was_switched_off_is_told_from_then_on(fast):
    before = fast.say(stream=False)[1]
    fast.store.switches.turn("arm", "suggestion", off=True, by="test")
    fast.light.watch.look()
    after = fast.say(stream=False)[1]
    fast.store.switches.turn("arm", "suggestion", off=False, by="test")
    fast.light.watch.look()
    for row, off in ((before, False), (after, True)):
        told = explained(fast, row)
        assert (("suggestion", "switch") in {(v.name, v.by) for v in told.vetoed}) is off
        assert told.chance.largest_difference <= 1e-9


def test_what_was_not_drawn_says_why(fast):
    ways = fast.ways()
    cases = {
        "control group": fast.say(stream=False, user={"id": control_user(fast.home)})[1],
        "observed": fast.say(stream=False, **ways["base"])[1],
        "named a model or an adapter": fast.say(stream=False, **ways["adapter"])[1],
        "crisis": fast.say("I want to die", stream=False)[1],
    }
    for word, row in cases.items():
        told = explained(fast, row)
        assert told.chance is None
        assert word in told.not_drawn
        assert word in told.summary
        assert told.contributions.why_none
    assert explained(fast, cases["control group"]).control
    asked = fast.say(stream=False, **ways["control"])[1]
    assert "the request asked for the plain reply" in explained(fast, asked).summary


def test_of_who_did_not_agree_nothing_is_inferred_or_told(fast):
    user = {"id": "private", "purposes": ["serve", "train", "experiment"]}
    told = explained(fast, fast.say(stream=False, user=user, **fast.ways()["arm_first"])[1])
    assert told.persona is None
    assert told.contributions.why_none
    assert told.chance.largest_difference <= 1e-9


def test_without_experiments_nothing_is_left_to_chance(fast):
    user = {"id": "no chance", "purposes": ["serve", "infer_affect"]}
    told = explained(fast, fast.say(stream=False, user=user, **fast.ways()["arm_first"])[1])
    assert told.chance.allowed is False
    assert "experiments" in told.chance.why_not
    assert told.contributions.why_none is None


def test_a_key_without_affect_reads_no_persona_and_no_mood(whole):
    block = whole.decision(**{"rapport::mode": "arm_first"})
    path = f"/v1/decisions/{block['decision_id']}/explanation"
    shut = whole.ask("GET", path, key=whole.key("default", "read")).json()
    assert shut["persona"] is None
    assert shut["contributions"]["groups"] == []
    assert whole.ask("GET", path).json()["contributions"]["why_none"] is None
    whole.ask("GET", path, key=whole.key("acme"), status=404)
    whole.ask("GET", path, key=whole.key("default", "serve"), status=403)
    whole.ask("GET", "/v1/decisions/nope/explanation", status=404)
    crisis = whole.decision("I am going to kill myself tonight.")["decision_id"]
    told = f"/v1/decisions/{crisis}/explanation"
    assert "crisis" not in whole.ask("GET", told, key=whole.key("default", "read")).text


def test_its_shape_is_documented(whole):
    document = whole.ask("GET", "/openapi.json").json()
    told = document["paths"]["/v1/decisions/{decision_id}/explanation"]["get"]
    assert told["x-scope"] == "read"
    assert "Contribution" in document["components"]["schemas"]
    body = told["responses"]["200"]["content"]["application/json"]["schema"]
    assert body["$ref"].endswith("/Explanation")


@pytest.fixture
def moved(fast, tmp_path):
    """A copy of the home after a decision, and that decision."""
    row = fast.say(stream=False, **fast.ways()["arm_first"])[1]
    shutil.copytree(fast.home, tmp_path / "home")
    return Home(tmp_path / "home"), row


def test_a_release_that_is_gone_or_broken_is_told(moved):
    home, row = moved
    whole: Any = explain(row, home.releases)
    flip_a_byte(home.releases / row["release_id"])
    broken: Any = explain(row, home.releases)
    assert "broken" in broken.model.missing
    shutil.rmtree(home.releases / row["release_id"])
    gone: Any = explain(row, home.releases)
    assert row["release_id"] in gone.model.missing
    assert gone.model.missing in gone.summary
    for told in (broken, gone):
        assert not told.model.found
        assert [each.nlp for each in told.candidates] == [each.nlp for each in whole.candidates]
        assert told.chance.propensity == row["propensity"]
        assert told.contributions.why_none


def test_the_command_explains_what_lies_in_the_store_or_in_the_lake_alone(moved):
    home, row = moved

    def ask(decision_id, *, code=0):
        words = ["explain", decision_id, "--home", str(home.root)]
        ran = CliRunner().invoke(app, [*words, "--json"])
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout) if code == 0 else ran.output

    waiting = ask(row["decision_id"])
    assert ask("last") == waiting
    lake, store = Lake(home.lake), open_store(home.store_url)
    relay(store, lake)
    store.erase_users([row["user_id"]])
    store.close()
    assert ask(row["decision_id"]) == waiting
    (home.root / "store.db").unlink()
    newest = lake.sql("select decision_id from decisions order by ts desc limit 1")
    assert ask("last")["decision_id"] == newest.column(0)[0].as_py()
    log = lake.sql("select decision_id from decisions where source = 'simulation' limit 1")
    told = ask(log.column(0)[0].as_py())
    assert "not decided here" in told["summary"]
    assert "rapport sql" in ask("nope", code=2)
    ran = CliRunner().invoke(app, ["explain", row["decision_id"], "--home", str(home.root)])
    assert "earns (rec)" in ran.stdout
    assert "the sentiment curve" in ran.stdout
