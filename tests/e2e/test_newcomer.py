"""A newcomer's own log: useful at once where it is small, whole where it is large."""

import json
import resource
import time

import pytest

from rapport.simulation import SimulationConfig, generate
from tests.e2e.conftest import SMALL, Circle
from tests.e2e.shared_log import SHARED, write_chats
from tests.statistics.report import say

OWN = "rapport ingest openai-jsonl my.jsonl && rapport run && rapport report"
CONVERSATIONS, LEAST_MESSAGES = 40, 6


def write_forty(to):
    """Forty conversations of nothing but messages."""
    turns = generate(SimulationConfig(users=60, turns=10, seed=3)).turns
    said = turns.filter(turns["kind"] == "message").sort("conversation_id", "turn_index")
    chats = [
        [{"role": role, "content": text} for role, text in rows.select("role", "text").iter_rows()]
        for _, rows in said.group_by("conversation_id", maintain_order=True)
    ]
    long = [chat for chat in chats if len(chat) >= LEAST_MESSAGES][:CONVERSATIONS]
    to.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in long))


def processor_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(circle, script, **env):
    before, started = processor_s(), time.monotonic()
    ran = circle.shell(script, **env)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout, time.monotonic() - started, processor_s() - before


@pytest.mark.slow
def test_forty_conversations_without_users_or_ratings_give_a_useful_page(tmp_path):
    write_forty(tmp_path / "my.jsonl")
    said, wall_s, used_s = timed(Circle(tmp_path), OWN, OMP_NUM_THREADS="1")
    say(f"40 conversations to the page: {wall_s:.0f} s, {used_s:.0f} processor seconds")
    page = (tmp_path / ".rapport/report/report.html").read_text(encoding="utf-8")
    for told in (
        "40 of 40 conversations name no user",
        "40 users: personas are hard to tell apart",
        "no ratings or other feedback: rewards come from how people write",
        "turns without a time of their own",
        "train_scorers was skipped: it needs 200 replies",
        "no decision with a logged propensity",
    ):
        assert told in " ".join(said.split())
        assert told.split(":")[0] in page
    for plot in ("reward_by_arm", "sentiment"):
        assert (tmp_path / f".rapport/report/plots/{plot}.csv").exists()


@pytest.mark.slow
def test_a_log_of_real_dialogues_with_half_the_ratings_goes_the_whole_way(tmp_path, language_model):
    if not SHARED.is_dir():
        pytest.skip("the data sets are not beside the checkout")
    counts = write_chats(tmp_path / "my.jsonl")
    small = {**SMALL, "RAPPORT_LANGUAGE_MODEL": language_model}
    said, wall_s, used_s = timed(Circle(tmp_path), OWN, **small)
    say(f"{counts}: {wall_s:.0f} s, {used_s:.0f} processor seconds")
    assert "1,040 of 1,040 conversations name no user" in said
    assert "Verdict" in said
    page = (tmp_path / ".rapport/report/report.html").read_text(encoding="utf-8")
    assert "was skipped" not in page
