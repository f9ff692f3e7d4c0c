from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from rapport.arms import load_menu
from rapport.cli.app import app
from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.language.prompts import Message
from rapport.language.training import SHARED
from rapport.measuring.dialogues import Case
from rapport.measuring.perplexity import WAYS, _measures, _Read, _Reader, _ways
from rapport.measuring.released import taught_by
from rapport.users.split import part_of


def read(nats, tokens, users):
    personas = np.array(["calm-01"] * len(users))
    return _Read(np.array(nats, float), np.array(tokens, float), np.array(users), personas)


def test_perplexity_and_gain_by_hand():
    base, other = np.log([16.0, 16.0]), np.log([4.0, 1.0])
    # Two replies of two tokens and one: log 16 is two tokens of log 4, and four of log 2.
    found = _measures(read([base, other, base, base, base], [2, 1], ["ann", "bob"]))
    assert found["perplexity_base"].estimate == pytest.approx(16.0 ** (2 / 3))
    assert found["perplexity_context"].estimate == pytest.approx(4.0 ** (1 / 3))
    assert found["gain_context"].estimate == pytest.approx((2 * np.log(16) - np.log(4)) / 3)
    assert found["gain_adapter"].estimate == 0.0
    assert found["gain_adapter_over_global"].estimate == 0.0
    assert found["perplexity_base"].n == 2


def test_intervals_are_over_users_and_none_for_one():
    nats = [np.arange(1.0, 9.0) + way for way in range(5)]
    many = _measures(read(nats, [4] * 8, list("abcdefgh")))
    for found in many.values():
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.estimate <= found.high
    one = _measures(read(nats, [4] * 8, ["ann"] * 8))
    assert all(found.low is None for found in one.values())


def test_ways_vary_the_prompt_and_the_adapter():
    arm = load_menu()["question"]
    case = Case("ann", [Message(role="user", content="I fell.")], "Where?", arm, ["I fell."])
    ways = dict(zip(WAYS, _ways(case, _Reader("Likes brevity.", "calm-01")), strict=True))
    adapters = {way: adapter for way, (_, adapter) in ways.items()}
    assert adapters == {
        "base": None, "context": None, "adapter": "calm-01", "both": "calm-01",
        "global_adapter": SHARED,
    }  # fmt: skip
    told = {way for way, (prompt, _) in ways.items() if "Likes brevity." in prompt[0]["content"]}
    assert told == {"context", "both"}
    assert all(prompt[-1]["content"].endswith(arm.prompt) for prompt, _ in ways.values())


def test_whom_a_release_learned_from_is_known_also_when_hashed_twice(tmp_path):
    home = Home(tmp_path / "home")
    names = [user_key(home.secret(), "default", f"u{i}") for i in range(40)]
    row = {"tenant": "default", "encoder_id": "e", "vector": [0.0]}
    stamped = [
        {**row, "user_id": name, "last_event_ts": datetime(2026, 1, 1, tzinfo=UTC)}
        for name in names
    ]
    Lake(home.lake).append("user_embeddings", stamped, writer="test")
    taught = {name for name in names if part_of(name) != "gate"}
    strangers = {"f" * 32}
    assert taught_by(home, [*names, *strangers], tenant="default") == taught
    again = {user_key(home.secret(), "default", name) for name in names}
    assert len(taught_by(home, again, tenant="default")) == len(taught)
    assert taught_by(home, names, tenant="other") == frozenset()


def test_a_home_without_a_release_says_what_to_run(tmp_path):
    home, data = Home(tmp_path / "home"), tmp_path / "turns.parquet"
    data.touch()
    ran = CliRunner().invoke(app, ["evaluate", "lm", "--data", str(data), "--home", str(home.root)])
    assert ran.exit_code == 2
    assert "none serves in this home" in ran.stderr
    ran = CliRunner().invoke(app, ["evaluate", "lm", "--data", str(data), "--home", "nowhere"])
    assert ran.exit_code == 2
    assert "no home lies there" in ran.stderr
