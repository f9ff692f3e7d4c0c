"""What would be answered, without a server: the same as served, and nothing is left behind."""

import hashlib
import io
import json
import sqlite3
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from rapport.arms import load_menu
from rapport.cli.app import app
from rapport.cli.deciding import DecideFailedError, fail, print_decided
from rapport.errors import ServingError, UnknownNameError
from rapport.policy.features import Layout
from rapport.policy.policy import uniform_policy
from serve.app import AppConfig
from serve.bundle import Bundle
from serve.deciding import Asked, Deciding, main
from serve.wire import ChatRequest, Message
from tests.serve.graphs import CALM, control_user

MENU = load_menu("emotional_support")


@pytest.fixture
def deciding(fast):
    """The deciding half over the home of the graph `fast`, with its reader."""
    config = AppConfig(home=fast.home, encoder=f"file:{fast.home}/encoder")
    return Deciding.over(config, fast.store, fast.light.exchanges.reader)


def asked(text=CALM, **more):
    return Asked(text=text, **{"user": "somebody new", **more})


def probabilities(decided):
    return {each.arm: each.probability for each in decided.explanation.candidates}


def test_it_decides_as_the_graph_does(fast, deciding):
    (told,) = deciding.decided(asked())  # first: the graph remembers who spoke
    served = fast.rank(CALM, user="somebody new")
    assert probabilities(told) == pytest.approx(served["probabilities"], abs=1e-9)
    assert told.persona_id == served["rapport"]["persona_id"]
    assert told.likeliest.probability == max(served["probabilities"].values())
    assert told.likeliest.instruction == MENU[told.likeliest.arm].instruction
    assert told.explanation.chance.largest_difference <= 1e-9
    assert told.explanation.decision_id is None
    assert told.explanation.contributions.why_none is None


def test_personas_stand_side_by_side(deciding):
    names = deciding.bundles.now.personas
    known, *pinned = deciding.decided(asked(personas=list(names)))
    assert not known.pinned
    assert [each.persona_id for each in pinned] == list(names)
    assert all(each.likeliest for each in pinned)
    with pytest.raises(UnknownNameError, match=names[0]):
        deciding.decided(asked(personas=["nobody"]))


def test_who_is_in_control_is_told_so_and_may_still_be_compared(fast, deciding):
    name = deciding.bundles.now.personas[0]
    plain, pinned = deciding.decided(asked(user=control_user(fast.home), personas=[name]))
    assert (plain.likeliest, plain.explanation.control) == (None, True)
    assert pinned.likeliest is not None


def test_a_crisis_is_answered_by_nothing_that_was_drawn(deciding):
    (told,) = deciding.decided(asked("I want to die"))
    assert (told.likeliest, told.adapter, told.persona_id) == (None, None, None)
    assert "crisis" in told.explanation.summary


def test_an_unknown_agent_is_refused(deciding):
    with pytest.raises(ServingError, match="customer_support"):
        deciding.decided(asked(agent="nobody"))


def test_a_pinned_persona_is_the_only_one_that_counts(fast):
    personas = ("dry-01", "warm-02", "wry-03")
    bundle = Bundle(None, uniform_policy(Layout.of(personas)))
    plan = fast.light.exchanges.hearing.heard(
        "default", ChatRequest(messages=[Message(role="user", content=CALM)]), "ann"
    )
    pinned = plan.asked.model_copy(update={"model": "rapport:warm-02"})
    planner = fast.light.exchanges.planner
    route = planner.recalled(replace(plan, bundle=bundle, asked=pinned)).route
    assert route is not None
    assert (route.persona_id, route.posterior.tolist()) == ("warm-02", [0, 1, 0])


def contents(home):
    """Every row of the store, and every file beside it."""
    with sqlite3.connect(home / "store.db") as connection:
        rows = list(connection.iterdump())
    files = sorted(
        (str(path), path.stat().st_size)
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("store.db")
    )
    return hashlib.sha256(repr((rows, files)).encode()).hexdigest()


@pytest.fixture
def decide(promoted_home, monkeypatch):
    """The command, over the home."""
    monkeypatch.setenv("RAPPORT_ENCODER", f"file:{promoted_home}/encoder")

    def ask(*words, code=0):
        home = str(promoted_home)
        ran = CliRunner().invoke(app, ["decide", *words, "--home", home])
        assert ran.exit_code == code, ran.output
        return ran.output

    return ask


def test_the_command_answers_and_leaves_nothing_behind(fast, decide):
    name = fast.light.exchanges.bundles.now.personas[0]
    before = contents(fast.home)
    told = json.loads(
        decide(CALM, "--user", "ann", "--compare-persona", name, "--json").splitlines()[-1]
    )
    assert contents(fast.home) == before
    assert told["release_id"] == fast.light.exchanges.bundles.now.release_id
    assert [each["pinned"] for each in told["decided"]] == [False, True]


def test_it_is_printed_alone_or_side_by_side(deciding, capsys):
    names = list(deciding.bundles.now.personas)
    every = [each.model_dump() for each in deciding.decided(asked(personas=names))]
    print_decided(every[:1])
    alone = capsys.readouterr().out
    assert "earns (rec)" in alone
    assert "Likeliest: [" in alone
    print_decided(every)
    beside = capsys.readouterr().out
    assert f"as {names[0]}" in beside
    assert "as known" in beside


def test_the_process_says_what_is_wrong_and_the_command_ends_as_it_did(
    promoted_home, monkeypatch, capsys
):
    monkeypatch.setenv("RAPPORT_ENCODER", f"file:{promoted_home}/encoder")
    monkeypatch.setattr("sys.argv", ["deciding", "--home", str(promoted_home)])
    monkeypatch.setattr("sys.stdin", io.StringIO(asked(personas=["nobody"]).model_dump_json()))
    assert main() == 2
    line = capsys.readouterr().out
    assert json.loads(line)["error"]["code"] == "unknown_name"
    with pytest.raises(typer.Exit) as ended:
        fail(line, 2, as_json=False)
    assert ended.value.exit_code == 2
    assert "'nobody'" in capsys.readouterr().err
    with pytest.raises(DecideFailedError):
        fail("", 1, as_json=True)


def test_a_mistake_ends_in_one_clear_error(decide, tmp_path):
    assert "TEXT" in decide("  ", "--user", "ann", code=2)
    assert "--user" in decide(CALM, "--user", "", code=2)
    assert "customer_support" in decide(CALM, "--user", "ann", "--agent", "x", code=2)
    words = ["decide", CALM, "--user", "ann", "--home", str(tmp_path / "none"), "--json"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 2
    error = json.loads(ran.stdout.splitlines()[-1])["error"]
    assert (error["code"], error["param"]) == ("config", "--home")
    assert "no release serves here" in error["message"]
    assert not (tmp_path / "none").exists()
