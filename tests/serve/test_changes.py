"""What would change if a release answered somebody's log: told, and nothing deployed or written."""

import hashlib

import pytest

from rapport.errors import ConfigError, TooLittleDataError
from rapport.home import Home
from rapport.measuring.changes import measure_changes
from rapport.measuring.released import released
from rapport.pipeline.settings import IngestConfig
from tests.unit.ingest.exports import a_generation, as_jsonl
from tests.unit.measuring.shape import assert_shaped

ARMS = ("question", "reflection", "suggestion")
CHATS = 60


def a_log(folder, *, user=True, rated=True, prompts=ARMS):
    """Chats of four turns in Langfuse's shape; the prompt's name is the kind of reply."""
    records = []
    for number in range(4 * CHATS):
        owner = f"person {number // 4}" if user else ""
        call, score = a_generation(number, user_id=owner, prompt_name=prompts[number % 3])
        records += [call, score | {"value": 5 - number % 3}] if rated else [call]
    log, mapping = folder / "log.jsonl", folder / "map.yaml"
    log.write_bytes(as_jsonl(records))
    mapping.write_text("arm: prompt_name\n")
    return {"format": "langfuse", "paths": [str(log)], "mapping": mapping}


def contents(home):
    return {
        file: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in home.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def told(promoted_home, tmp_path_factory):
    home, before = Home(promoted_home), contents(promoted_home)
    log = a_log(tmp_path_factory.mktemp("log"))
    encoder = f"file:{promoted_home}/encoder"
    config = IngestConfig(home=promoted_home, encoder=encoder, **log)
    result = measure_changes(config, home, released(home, None))
    assert contents(promoted_home) == before
    return result


def test_it_tells_by_persona_how_often_another_kind_would_be_drawn_and_what_it_may_earn(told):
    assert_shaped(told.to_json(), task="changes")
    assert told.n == 4 * CHATS
    personas = {name for name in told.groups if name.startswith("persona/")}
    assert 1 <= len(personas) <= 2
    assert sum(told.groups[name].metrics["other_kind"].n for name in personas) == told.n
    for measures in (told.metrics, *(told.groups[name].metrics for name in personas)):
        assert 0 < measures["other_kind"].estimate < 1
        assert {"logged_reward", "snips_gain", "dr_gain", "ess"} <= measures.keys()
    low, high = told.metrics["other_kind"].low, told.metrics["other_kind"].high
    assert low <= told.metrics["other_kind"].estimate <= high


def test_what_was_seen_and_what_would_be_drawn_are_shares_of_all_replies(told):
    arms = {k.removeprefix("arm/"): g for k, g in told.groups.items() if k.startswith("arm/")}
    seen = {name: held.metrics["seen"].estimate for name, held in arms.items()}
    assert {name: share for name, share in seen.items() if share} == pytest.approx(
        dict.fromkeys(ARMS, 1 / 3)
    )
    assert sum(held.metrics["drawn"].estimate for held in arms.values()) == pytest.approx(1)


def test_what_the_log_cannot_say_is_said(told):
    notes = " ".join(told.notes)
    assert f"{4 * CHATS} of {4 * CHATS} replies have no logged propensity" in notes
    assert "a randomised trial does" in notes
    assert told.notes[-1] == "nothing was deployed and nothing was written"


def test_without_users_ratings_and_release_it_tells_the_kinds_seen(tmp_path):
    home = Home(tmp_path / "none", make=False)
    log = a_log(tmp_path, user=False, rated=False)
    result = measure_changes(IngestConfig(home=home.root, **log), home, None)
    assert_shaped(result.to_json(), task="changes")
    assert set(result.groups) == {f"arm/{arm}" for arm in ARMS}
    assert result.release is None
    notes = " ".join(result.notes)
    assert f"{4 * CHATS} of {4 * CHATS} calls name no user" in notes
    assert f"0 ratings or scores for {4 * CHATS} replies" in notes
    assert "no release serves here" in notes
    assert not home.root.exists()


def test_a_log_without_a_reply_is_refused_with_why(tmp_path):
    home = Home(tmp_path / "none", make=False)
    (tmp_path / "log.jsonl").write_text('{"id": "1", "type": "SPAN"}\n')
    config = IngestConfig(home=home.root, format="langfuse", paths=[str(tmp_path / "log.jsonl")])
    with pytest.raises(TooLittleDataError, match="no reply to label"):
        measure_changes(config, home, None)
    missing = IngestConfig(home=home.root, format="langfuse", paths=["elsewhere"])
    with pytest.raises(ConfigError, match="--data"):
        measure_changes(missing, home, None)
