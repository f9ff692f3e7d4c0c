"""`kill -9` between an event and its reward: default rewards are given once, and only where due."""

import json
import sys
import time

import pytest

from rapport.config import JobConfig
from rapport.governance.access import fresh_key, key_hash
from rapport.lake import Lake
from rapport.pipeline.outbox import relay_all
from rapport.pipeline.rewards import reward_log
from rapport.store import open_store
from rapport.testing import tiny_language_model
from tests.serve.killable import Server
from tests.serve.personalizer_client import PersonalizerClient

ACTIONS = [{"id": name, "features": [{"kind": name}]} for name in ("news", "sports")]
WAIT_S = 2.0
TENANTS = f"""
default:
  default_age_band: adult
  default_purposes: [serve, analytics, train, infer_affect]
  reward_wait_s: {WAIT_S}
  default_reward: -0.25
"""


def rewards_of(home):
    """Every version of every reward, by decision."""
    config = JobConfig(home=home)
    relay_all(config)
    reward_log(config)
    found: dict[str, list[float]] = {}
    rows = Lake(home / "lake").scan("rewards", purpose="analytics").sort("as_of").collect()
    for row in rows.iter_rows(named=True):
        found.setdefault(row["decision_id"], []).append(row["value"])
    return found


@pytest.mark.slow
def test_after_a_kill_defaults_are_given_once_and_a_late_reward_takes_their_place(tmp_path):
    home, key = tmp_path / "home", fresh_key()
    home.mkdir()
    (home / "tenants.yaml").write_text(TENANTS, encoding="utf-8")
    url = f"sqlite:///{home / 'store.db'}"
    store = open_store(url)
    store.keys.add(key_hash(key), tenant="default", scopes={"serve"}, label="test")
    store.close()
    model = f"file:{tiny_language_model(tmp_path / 'model')}"
    config = json.dumps({"home": str(home), "language_model": model})
    command = [sys.executable, "-m", "tests.serve.killable", config]

    server = Server(command, {}, tmp_path / "log")
    client = PersonalizerClient(server.url, key)
    silent, told, unsure = (
        client.rank(ACTIONS, deferActivation=defer)["eventId"] for defer in (False, False, True)
    )
    client.reward(told, 1.0)
    server.kill()

    time.sleep(WAIT_S)
    assert rewards_of(home) == {silent: [-0.25], told: [1.0]}
    assert rewards_of(home) == {silent: [-0.25], told: [1.0]}

    server = Server(command, {}, tmp_path / "log")
    try:
        client = PersonalizerClient(server.url, key)
        client.reward(silent, 0.5)
        client.reward(told, -1.0)  # of several the first counts
        client.activate(unsure)  # too late: it was given up
    finally:
        server.kill()
    assert rewards_of(home) == {silent: [-0.25, 0.5], told: [1.0]}
