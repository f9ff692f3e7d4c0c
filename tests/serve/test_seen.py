"""What can be seen from outside: counters, logs, health and readiness, all of it true."""

import json
import re

import pytest
from sqlalchemy import create_engine, text

from rapport.home import Home
from serve.logs import log_to, tell
from tests.serve.light import tiny_writer
from tests.serve.whole_api import whole_api


def values(exposed, name):
    """Samples of a metric: labels to value."""
    pattern = re.compile(rf"^{name}({{.*}})? (\S+)$", flags=re.MULTILINE)
    return {labels: float(value) for labels, value in pattern.findall(exposed)}


@pytest.fixture
def own(tmp_path):
    with whole_api(Home(tmp_path / "home"), tiny_writer(tmp_path / "model")) as made:
        yield made


def test_counters_tell_what_happened_and_name_no_user(own):
    block = own.decision("I feel low.", **{"rapport::user": {"id": "counted-user"}})
    own.chat("I am going to kill myself tonight.")
    own.chat("hello", stream=True)
    own.chat(status=400, model="gpt-9")
    own.feedback(decision_id=block["decision_id"], metric_name="rating", value=4)
    told = own.client.get("/metrics").text
    chat = 'method="POST",route="/v1/chat/completions"'
    requests = values(told, "rapport_requests_total")
    assert requests[f'{{{chat},status="200"}}'] == 3
    assert requests[f'{{{chat},status="400"}}'] == 1
    assert sum(values(told, "rapport_decisions_total").values()) == 3
    assert values(told, "rapport_crises_total")[""] == 1
    assert values(told, "rapport_feedback_total") == {'{metric="rating"}': 1}
    assert values(told, "rapport_errors_total") == {'{code="invalid_request"}': 1}
    assert values(told, "rapport_store_commit_seconds_count")[""] >= 4
    assert values(told, "rapport_engine_tokens_total")['{direction="out"}'] > 0
    assert values(told, "rapport_outbox_rows")['{table="decisions"}'] == 3
    assert values(told, "rapport_outbox_oldest_seconds")[""] > 0
    assert values(told, "rapport_store_up")[""] == 1
    assert values(told, "rapport_release_info") == {'{release_id="none"}': 1}
    assert values(told, "rapport_requests_in_progress")[""] == 1  # this scrape
    assert "counted-user" not in told
    assert "default" not in told


def test_every_metric_has_the_prefix(own):
    told = own.client.get("/metrics").text
    names = {line.split()[2] for line in told.splitlines() if line.startswith("# TYPE")}
    assert names
    assert all(name.startswith("rapport_") for name in names)


def test_readyz_is_503_while_the_store_does_not_answer(own):
    assert own.client.get("/readyz").json()["status"] == "ready"
    engine = create_engine(Home(own.home).store_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE unfinished RENAME TO gone"))
    assert own.client.get("/readyz").status_code == 503
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO unfinished"))
    engine.dispose()
    assert own.client.get("/readyz").status_code == 200
    assert own.client.get("/healthz").status_code == 200


def test_the_log_is_one_json_line_a_request(own, tmp_path):
    log_to(tmp_path)
    answer = own.chat("My secret is Zanzibar.", **{"rapport::user": {"id": "Zanzibar"}})
    lines = [json.loads(line) for line in (tmp_path / "serve.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["decision_id"] == answer.headers["x-rapport-decision-id"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["route"], line["status"]) == ("/v1/chat/completions", 200)
    assert line["tenant"] == "default"
    assert line["seconds"] > 0
    assert "Zanzibar" not in json.dumps(lines)


def test_a_full_log_is_put_aside_once(tmp_path, monkeypatch):
    monkeypatch.setattr("serve.logs.MAX_BYTES", 200)
    log_to(tmp_path)
    for i in range(20):
        tell("request", request_id=str(i))
    names = sorted(path.name for path in tmp_path.glob("serve.jsonl*"))
    assert names == ["serve.jsonl", "serve.jsonl.1"]
    assert json.loads((tmp_path / "serve.jsonl").read_text().splitlines()[-1])["request_id"] == "19"
