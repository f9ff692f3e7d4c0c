import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from rapport.canaries import Rules
from rapport.errors import BrokenReleaseError, ConfigError, GateRefusedError, UnknownNameError
from rapport.pipeline.canaries import start
from rapport.pipeline.policies import origin_of
from rapport.pipeline.ports import digest_tree
from rapport.pipeline.promotion import promote_judged, promote_named, roll_back
from rapport.pipeline.verdicts import published
from rapport.policy.features import Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.release import current, list_releases, publish, verify
from tests.unit.pipeline.candidates import (
    LAYOUT,
    REASON,
    a_candidate,
    a_home,
    a_policy,
    a_verdict,
    serving,
)  # fmt: skip


@pytest.fixture
def home_and_lake(tmp_path):
    return a_home(tmp_path)


def served_policy(home):
    return Policy.load(serving(home) / "policy")


def promoted(home, lake, policy, **facts):
    a_candidate(home, policy, verdict=a_verdict(policy, **facts))
    return promote_judged(home, lake, candidate=None)


def test_a_candidate_that_passed_serves_and_says_what_it_changes(home_and_lake):
    home, lake = home_and_lake
    first = promoted(home, lake, a_policy())
    assert (first["policy"], first["refused"], first["reasons"]) == ("candidate", False, [])
    assert set(first["changes"].values()) == {"new"}
    second = promoted(home, lake, a_policy(temperature=0.5))
    assert second["changes"]["policy"] == "changed"
    assert second["changes"]["adapters"] == "same"
    manifest = verify(serving(home))
    assert manifest.release_id == second["release"]
    assert manifest.parents == (first["release"],)
    rows = lake.scan("metrics").collect()
    assert set(rows["release_id"]) == {first["release"], second["release"]}
    assert rows["low"][0] == pytest.approx(0.03)
    with pytest.raises(ConfigError, match="train_policy"):
        promote_judged(home, lake, candidate=None)


def test_a_refused_policy_is_replaced_by_the_incumbents_and_the_rest_is_published(home_and_lake):
    home, lake = home_and_lake
    result = promoted(home, lake, a_policy(temperature=0.5), promoted=False)
    assert (result["policy"], result["refused"], result["reasons"]) == ("incumbent", True, [REASON])
    assert served_policy(home).id == uniform_policy(LAYOUT).id
    better = a_policy(temperature=0.7)
    promoted(home, lake, better)
    again = promoted(home, lake, a_policy(temperature=0.2), promoted=False, incumbent=better)
    assert served_policy(home).id == better.id
    # It holds no refused policy: going back to it by name is allowed.
    roll_back(home)
    assert promote_named(home, lake, again["release"])["serves"]


def test_a_refused_policy_of_other_personas_leaves_the_serving_release_whole(home_and_lake):
    home, lake = home_and_lake
    first = promoted(home, lake, a_policy())
    stranger = a_policy(layout=Layout.of(["dry-01", "warm-02", "wry-03"]))
    result = promoted(home, lake, stranger, promoted=False)
    assert (result["policy"], result["refused"]) == ("serving", True)
    assert result["release"] == first["release"] == serving(home).name
    assert "other personas" in result["reasons"][-1]
    assert len(list_releases(home.releases)) == 1


def test_new_replies_alone_of_which_the_log_cannot_tell_wait_for_a_canary(home_and_lake):
    home, lake = home_and_lake
    first = promoted(home, lake, a_policy())
    verdict = a_verdict(a_policy(), promoted=False, incumbent=a_policy())
    verdict |= {"change": "generator", "generator": "canary only"}
    name = a_candidate(home, a_policy(), verdict=verdict, cards='{"a": 1}').name
    for told in (
        promote_named(home, lake, name, dry_run=True),
        promote_named(home, lake, name),
        promote_judged(home, lake, candidate=None),
    ):
        assert (told["policy"], told["refused"], told["release"]) == (
            "serving",
            True,
            first["release"],
        )
        assert "goes on serving" in told["reasons"][-1]
    canary = start(home, lake, name, Rules(share=0.2), now=datetime.now(UTC))
    assert serving(home).name == first["release"] == canary.against
    assert served_policy(home).id == Policy.load(home.releases / canary.release / "policy").id


def test_what_is_published_is_the_policy_that_was_judged(home_and_lake):
    home, lake = home_and_lake
    policy, kept = a_policy(temperature=0.5), ("persona/dry-01", "agent/customer_support")
    judged = published(policy, uniform_policy(LAYOUT), kept=kept)
    assert judged.withheld == ("dry-01",)
    a_candidate(home, policy, verdict=a_verdict(judged, too_little=kept))
    promote_judged(home, lake, candidate=None)
    assert served_policy(home).id == judged.id
    # Beside the one that serves now, personas with too little data would get another policy.
    other = a_policy(temperature=0.3)
    stale = published(other, uniform_policy(LAYOUT), kept=kept)
    a_candidate(home, other, verdict=a_verdict(stale, too_little=kept))
    with pytest.raises(ConfigError, match="another incumbent serves now"):
        promote_judged(home, lake, candidate=None)


def test_a_candidate_that_nobody_judged_or_that_was_altered_is_not_promoted(home_and_lake):
    home, lake = home_and_lake
    folder = a_candidate(home, a_policy())
    with pytest.raises(ConfigError, match="evaluate_release"):
        promote_judged(home, lake, candidate=folder.name)
    (folder / "verdict.json").write_text(json.dumps(a_verdict(a_policy())))
    (folder / "reward.json").write_text("{ }")
    with pytest.raises(BrokenReleaseError, match="train it again"):
        promote_judged(home, lake, candidate=folder.name)
    assert current(home.releases) is None


@pytest.mark.parametrize("passed", [True, False])
def test_a_dry_run_says_what_would_happen_and_changes_nothing(home_and_lake, passed):
    home, lake = home_and_lake
    promoted(home, lake, a_policy())
    policy = a_policy(temperature=0.5)
    verdict = a_verdict(policy, promoted=passed, incumbent=a_policy())
    folder = a_candidate(home, policy, verdict=verdict, cards='{"a": 1}')
    before = digest_tree(home.root)
    told = promote_named(home, lake, folder.name, dry_run=True)
    assert digest_tree(home.root) == before
    assert told.pop("dry_run")
    done = promote_named(home, lake, folder.name)
    assert told["changes"]["personas"] == "changed"
    assert told["changes"]["policy"] == ("changed" if passed else "same")
    for key in ("release", "alias", "policy", "refused", "reasons", "changes"):
        assert told[key] == done[key], key


def test_a_published_release_is_promoted_by_name_only_with_a_policy_the_gate_let_pass(
    home_and_lake,
):
    home, lake = home_and_lake
    first = promoted(home, lake, a_policy())["release"]
    promoted(home, lake, a_policy(temperature=0.5))
    assert not promote_named(home, lake, first[:6], dry_run=True)["serves"]
    assert promote_named(home, lake, first)["release"] == serving(home).name
    (home.releases / first / "reward.json").write_text("1")
    with pytest.raises(BrokenReleaseError, match=r"reward\.json"):
        promote_named(home, lake, first)
    with pytest.raises(UnknownNameError):
        promote_named(home, lake, "no-such-1")


def test_a_release_whose_verdict_is_about_another_policy_or_missing_is_refused(home_and_lake):
    home, lake = home_and_lake
    served = promoted(home, lake, a_policy())["release"]
    refused = a_verdict(a_policy(temperature=0.5), promoted=False)
    for temperature, verdict in (
        (0.5, refused),
        (0.4, a_verdict(a_policy(temperature=0.3))),
        (0.2, None),
    ):
        folder = a_candidate(home, a_policy(temperature=temperature), verdict=verdict)
        release = publish(folder, home.releases, origin=origin_of(home, lake, folder.name))
        with pytest.raises(GateRefusedError):
            promote_named(home, lake, release, dry_run=True)
        with pytest.raises(GateRefusedError):
            promote_named(home, lake, release)
    assert serving(home).name == served


KILLED = """
import os, signal, sys
from pathlib import Path
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.promotion import promote_judged
def kill(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
home = Home(Path(sys.argv[1]))
promote_judged(home, Lake(home.lake), candidate=None)
"""


@pytest.mark.parametrize("step", ["promotion.json", "CURRENT"])
def test_a_promotion_that_was_killed_is_finished_by_the_next(home_and_lake, step):
    home, lake = home_and_lake
    policy = a_policy(temperature=0.5)
    a_candidate(home, policy, verdict=a_verdict(policy, promoted=False))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home.root), step], check=False)
    assert killed.returncode == -9
    assert current(home.releases) is None
    result = promote_judged(home, lake, candidate=None)
    assert result["policy"] == "incumbent"
    assert served_policy(home).id == uniform_policy(LAYOUT).id
    assert [one.release_id for one in list_releases(home.releases)] == [result["release"]]
    assert lake.scan("metrics").collect().height == 1
    assert not list((home.releases / ".candidates").iterdir())


def test_rolling_back_says_what_it_changes(home_and_lake):
    home, lake = home_and_lake
    first = promoted(home, lake, a_policy())
    promoted(home, lake, a_policy(temperature=0.5))
    back = roll_back(home)
    assert back["release"] == first["release"] == serving(home).name
    assert back["changes"]["policy"] == "changed"
