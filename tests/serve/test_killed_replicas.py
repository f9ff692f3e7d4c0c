"""Replicas of both kinds are killed one after another under load, over one PostgreSQL."""

import asyncio
import itertools
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from rapport.config import HomeConfig
from rapport.home import home_of
from rapport.lake import Lake
from rapport.schema import new_id
from rapport.store import open_store, relay
from tests.serve.processes import running
from tests.statistics.report import say

pytestmark = pytest.mark.slow
LASTS_S, EVERY_S, LEAST = 180.0, 20.0, 2_000
TALK = [{"role": "user", "content": "I feel low about work, what should I do?"}]
TWO = {
    "autoscaling_config": {"min_replicas": 2, "max_replicas": 2},
    "ray_actor_options": {"num_cpus": 0.1},
}


@dataclass
class Tally:
    """What clients were told."""

    decisions: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        return 1 - sum(self.failed.values()) / sum(self.asked.values())


class Client:
    """What one user of the `openai` client does, with its own two retries."""

    def __init__(self, served):
        self._api: Any = openai.AsyncOpenAI(
            base_url=f"{served.url}/v1", api_key=served.key, max_retries=2, timeout=15
        )
        self.tally = Tally()

    async def close(self):
        await self._api.close()

    async def do(self, number):
        """One request; kinds take turns, and feedback and reads need a decision before them."""
        kind = ("chat", "rank", "feedback", "read", "chat")[number % 5]
        if not self.tally.decisions:
            kind = "chat"
        self.tally.asked[kind] += 1
        try:
            await getattr(self, f"_{kind}")(number)
        except openai.OpenAIError as error:
            self.tally.failed[kind] += 1
            self.tally.reasons[f"{kind} {type(error).__name__}"] += 1

    async def _chat(self, number):
        whole = await self._api.chat.completions.create(
            model="rapport", messages=TALK, max_tokens=4, user=f"u{number % 50}"
        )
        self.tally.decisions.append(whole.rapport["decision_id"])

    async def _rank(self, number):
        body = {"user": f"u{number % 50}", "context": TALK[0]["content"]}
        told = await self._api.post("/rank", body=body, cast_to=object)
        self.tally.decisions.append(told["decision_id"])

    async def _feedback(self, number):
        body = {
            "decision_id": random.choice(self.tally.decisions), "metric_name": "rating",
            "value": 1 + number % 5, "feedback_id": new_id(),
        }  # fmt: skip
        told = await self._api.post("/feedback", body=body, cast_to=object)
        self.tally.feedback.append(told["feedback_id"])

    async def _read(self, _number):
        name = random.choice(self.tally.decisions)
        told = await self._api.get(f"/decisions/{name}", cast_to=object)
        assert told["decision_id"] == name


async def closed_loop(client, *, lasts_s, workers=8):
    """Requests a second with some workers that ask again as soon as they are answered."""
    numbers, ends = itertools.count(), time.monotonic() + lasts_s

    async def work():
        while time.monotonic() < ends:
            await client.do(next(numbers))

    before = sum(client.tally.asked.values())
    await asyncio.gather(*(work() for _ in range(workers)))
    return (sum(client.tally.asked.values()) - before) / lasts_s


async def open_loop(client, *, lasts_s, rate):
    """Ask at a steady rate, whatever became of the requests before."""
    tasks, began = set(), time.monotonic()
    for number in itertools.count():
        due = began + number / rate
        if due - began > lasts_s:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(client.do(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


def killer(served, killed, done):
    """Kill a replica every while, the two kinds in turn."""
    for node in itertools.cycle(("Gateway", "PersonaModel")):
        if done.wait(EVERY_S):
            return
        replicas = served.replicas(node)
        if replicas:
            os.kill(replicas[0], signal.SIGKILL)
            killed.append(node)


def test_replicas_are_killed_and_nobody_notices(promoted_home, tmp_path, postgres):
    home = shutil.copytree(promoted_home, tmp_path / "home")
    url = postgres.database()
    args = {
        "threads": 1, "language_model": f"file:{home}/language", "encoder": f"file:{home}/encoder",
        "gateway": TWO, "persona_model": TWO, "deadline_s": 8.0,
    }  # fmt: skip
    environment = {"RAPPORT_STORE": url}
    with running(home, {"args": args}, tmp_path, **environment) as served:
        tally, killed, rate = asyncio.run(_story(served))
        say(f"killed {Counter(killed)}; {rate:.1f} requests/s; asked {tally.asked}")
        say(f"failed {tally.failed} {tally.reasons}: {tally.share:.4%} succeeded")
        assert served.stop() == 0
    assert sum(tally.asked.values()) >= LEAST
    assert len(killed) >= LASTS_S / EVERY_S - 1
    assert set(killed) == {"Gateway", "PersonaModel"}
    assert tally.share >= 0.995
    _nothing_lost_or_doubled(home, url, tally)


async def _story(served):
    client = Client(served)
    capacity = await closed_loop(client, lasts_s=15)
    rate = max(capacity / 2, 1.05 * LEAST / LASTS_S) if capacity > LEAST / LASTS_S else capacity / 2
    say(f"capacity {capacity:.1f} requests/s over both gateways")
    client.tally = Tally(decisions=client.tally.decisions, feedback=client.tally.feedback)
    killed: list[str] = []
    done = threading.Event()
    thread = threading.Thread(target=killer, args=(served, killed, done))
    thread.start()
    await open_loop(client, lasts_s=LASTS_S, rate=rate)
    done.set()
    thread.join()
    await client.close()
    return client.tally, killed, rate


def _nothing_lost_or_doubled(home, url, tally):
    """Every acknowledged id is in the store and, once relayed, in the lake exactly once."""
    opened = home_of(HomeConfig(home=home, store=SecretStr(url)))
    store, lake = open_store(opened.store_url), Lake(opened.lake)
    assert all(store.decision(name) for name in tally.decisions)
    assert all(store.feedback(name) for name in tally.feedback)
    relay(store, lake)
    store.close()
    for table, names in (("decisions", tally.decisions), ("feedback", tally.feedback)):
        column = f"{table.rstrip('s')}_id"
        rows = lake.sql(f"select {column} from {table}").to_pylist()
        found = Counter(row[column] for row in rows)
        assert {found[name] for name in names} == {1}
        say(f"{len(names)} acknowledged {table}: each in the lake once")
