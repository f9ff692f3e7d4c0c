"""The circle, small: logs in, a release out, people answered over HTTP, feedback in the lake.

A tiny random language model stands in for speed; everything else is what a user runs.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import openai
import pytest

from rapport.cli.serving import served
from rapport.cli.stages import run_stage
from rapport.home import Home
from rapport.lake import Lake
from rapport.policy.behaviour import draw

USERS, TURNS = 200, 10  # as the README's commands say


def rapport(home, *words):
    command = [sys.executable, "-m", "rapport.cli", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def home(circle):
    return circle.home


@pytest.fixture(scope="module")
def decisions(home):
    """Serve the release, talk to it, and bring what was served into the lake."""
    with served(home, deadline_s=180) as ready:
        client = openai.OpenAI(base_url=f"{ready['url']}/v1", api_key=ready["key"], max_retries=0)
        blocks = [talk(client, user=f"u{i}") for i in range(6)]
        blocks.append(talk(client, user="u0", stream=True))
        ranked = talk(client, user="u7", mode="rerank")
        refused(client)
        feedback(client, blocks[0]["decision_id"])
        blocks.append(talk(client, user="u8", until=another_release(home)))
    run_stage("relay_outbox", home=home)
    run_stage("compute_rewards", home=home)
    return [*blocks, ranked]


def another_release(home):
    """Publish a release while the old one serves, and return its id.

    Whatever the gate says of its policy, its strategy scorer makes it another one.
    """
    run_stage("train_scorers", home=home, sets=["seed=5", "replies=210"])
    run_stage("train_policy", home=home, sets=["search=false", "seed=5"])
    run_stage("evaluate_release", home=home)
    return run_stage("promote_release", home=home)["release"]


def talk(client, *, user, stream=False, mode=None, until=None):
    """One exchange; with `until`, the first that is answered by that release within 15 s."""
    deadline = time.monotonic() + 15
    while True:
        block = talk_once(client, user=user, stream=stream, mode=mode)
        if until in (None, block["release_id"]):
            return block
        assert time.monotonic() < deadline, f"{until} is not picked up"


def talk_once(client, *, user, stream, mode):
    extra = {"rapport::user": {"id": user}} | ({"rapport::mode": mode} if mode else {})
    answer = client.chat.completions.create(
        model="rapport",
        messages=[{"role": "user", "content": "I feel low about work, what should I do?"}],
        max_tokens=12,
        stream=stream,
        extra_body=extra,
    )
    if not stream:
        assert answer.choices[0].message.content
        return answer.model_extra["rapport"]
    chunks = list(answer)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return chunks[0].model_extra["rapport"]


def refused(client):
    with pytest.raises(openai.BadRequestError, match="not served"):
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="rk_wrong").models.list()
    crisis = client.chat.completions.create(
        model="rapport", messages=[{"role": "user", "content": "I want to kill myself tonight"}]
    )
    assert crisis.model_extra["rapport"]["guard"] == "crisis"
    assert crisis.model_extra["rapport"]["arm"] is None


def feedback(client, decision_id):
    body = {"decision_id": decision_id, "metric_name": "rating", "value": 5, "feedback_id": "f1"}
    first = client.post("/feedback", body=body, cast_to=object)
    assert first == client.post("/feedback", body=body, cast_to=object)
    assert first["reward"] == 1.0
    for wrong in ({"value": 9}, {"metric_name": "mood"}, {"decision_id": "nobody"}):
        with pytest.raises(openai.APIStatusError):
            client.post("/feedback", body={**body, "feedback_id": "f2", **wrong}, cast_to=object)


def test_every_row_that_came_in_is_accounted_for_and_comes_in_once(circle, home):
    found = rapport(home, "ingest", "simulation", str(circle.folder / "log"), "--force")
    for counts in found["tables"].values():
        assert counts["read"] == counts["duplicate"] > 0
        assert counts["kept"] == counts["quarantined"] == 0
    (row,) = rapport(home, "sql", "select count(*) n from decisions where source = 'simulation'")
    assert row["n"] == found["tables"]["decisions"]["read"] == USERS * TURNS


def test_a_release_is_published_verified_and_carries_its_verdict(home):
    assert rapport(home, "release", "verify")["holds"]
    shown = rapport(home, "release", "show")
    assert shown["verdict"]["candidate"]
    assert shown["verdict"]["promoted"] or shown["verdict"]["reasons"]


def test_a_new_release_is_picked_up_without_a_restart(home, decisions):
    first, *_, last, _ranked = decisions
    assert last["release_id"] != first["release_id"]
    assert rapport(home, "release", "show")["release_id"] == last["release_id"]


def test_every_served_decision_replays_from_its_logged_probabilities(home, decisions):
    rows = Lake(Home(home).lake).scan("decisions", purpose="analytics").collect()
    served_rows = rows.filter(rows["source"] == "serve").to_dicts()
    assert {block["decision_id"] for block in decisions} <= {r["decision_id"] for r in served_rows}
    for row in served_rows:
        probabilities = [c["probability"] for c in row["candidates"]]
        assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
        assert row["propensity"] == probabilities[row["action_index"]]
        if row["rng_seed"] is not None:
            assert draw(np.array(probabilities), row["rng_seed"]) == row["action_index"]


def test_a_crisis_leaves_its_row_without_its_words(home, decisions):
    turns = Lake(Home(home).lake).scan("turns", purpose="analytics").collect()
    crisis = turns.filter(turns["facet"] == "crisis")
    assert crisis["text"].to_list() == ["[CRISIS]"]
    stored = b"".join(p.read_bytes() for p in Path(home).rglob("*") if p.is_file())
    assert b"kill myself tonight" not in stored


def test_the_lake_answers_with_rewards_by_persona(home, decisions):
    query = (
        "select persona_id, count(*) n, avg(value) v from decisions join reward using (decision_id)"
        " where decisions.source = 'serve' group by 1"
    )
    rows = rapport(home, "sql", query)
    assert sum(row["n"] for row in rows) >= 1
    assert all(-1 <= row["v"] <= 1 for row in rows)


def test_what_is_no_question_is_refused(home):
    command = [sys.executable, "-m", "rapport.cli", "sql", "drop table turns", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_release_the_base_model_is_observed(tmp_path, home):
    with served(tmp_path / "fresh", deadline_s=180) as ready:
        client = openai.OpenAI(base_url=f"{ready['url']}/v1", api_key=ready["key"], max_retries=0)
        block = talk(client, user="first")
        assert (block["mode"], block["delivered"]) == ("observe", "observed")
        names = [model.id for model in client.models.list()]
        assert names[0] == "rapport"
