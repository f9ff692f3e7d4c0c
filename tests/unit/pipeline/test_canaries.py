"""A canary over a home: who counts, on which side, with what, and how it ends."""

import datetime as dt
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rapport.canaries import CANARY, Canary, Rules, begin, running
from rapport.cli.app import app
from rapport.errors import BrokenReleaseError, ConfigError, UnknownNameError
from rapport.governance.tenants import load_tenants
from rapport.pipeline.canaries import act, look, promote_release, start
from rapport.pipeline.canary_users import panel_of
from rapport.pipeline.promotion import promote_judged
from rapport.pipeline.settings import PromoteConfig
from rapport.policy.control import in_control
from rapport.release import promote
from rapport.testing import a_decision
from tests.unit.pipeline.candidates import a_candidate, a_home, a_policy, a_verdict, serving

BEGAN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
RULES = Rules(share=0.5, window_h=24.0, wait_h=24.0)
DAY = dt.timedelta(days=1)


@pytest.fixture
def home_and_lake(tmp_path):
    """A home in which one release serves and another candidate was judged."""
    home, lake = a_home(tmp_path)
    policy = a_policy()
    a_candidate(home, policy, verdict=a_verdict(policy))
    promote_judged(home, lake, candidate=None)
    return home, lake


def another(home, *, promoted=True):
    policy = a_policy(temperature=0.5)
    verdict = a_verdict(policy, promoted=promoted, incumbent=a_policy())
    return a_candidate(home, policy, verdict=verdict, cards='{"a": 1}').name


def begun(home, lake, **rules):
    return start(home, lake, another(home), RULES.model_copy(update=rules), now=BEGAN)


def users(count):
    names = (f"{place:032x}" for place in range(10**6))
    free = (name for name in names if not in_control(name))
    return [next(free) for _ in range(count)]


def lived(lake, canary, *, gain, count=900, silent=0.0):
    """Users who come within some days, decide twice and are rewarded a day later."""
    rng = np.random.default_rng(0)
    decisions, rewards = [], []
    for place, user in enumerate(users(count)):
        came = BEGAN + 10 * DAY * place / count
        treated = canary.takes(user)
        mean = float(rng.uniform(-0.2, 0.2)) + (gain if treated else 0.0)
        for turn in (0, 1):
            name = f"d-{place}-{turn}"
            at = came + dt.timedelta(minutes=turn)
            decisions.append(
                a_decision(
                    decision_id=name, inference_id=name, user_id=user, ts=at, turn_index=turn,
                    release_id=canary.release if treated else canary.against,
                    groups={"age_band": "adult"},
                )
            )  # fmt: skip
            if rng.random() >= silent:
                rewards.append(a_reward(decisions[-1], mean, at + dt.timedelta(hours=20)))
    lake.append("decisions", decisions, writer="test")
    lake.append("rewards", rewards, writer="test")


def a_reward(decision, value, as_of):
    columns = ("tenant", "ts", "ts_source", "user_id", "agent_id", "purposes", "groups", "source")
    facts = {name: decision[name] for name in columns}
    return {
        **facts, "decision_id": decision["decision_id"], "reward_version": 1,
        "value": value, "channels": {"rating": value}, "as_of": as_of,
    }  # fmt: skip


def test_a_candidate_is_published_and_tried_and_what_serves_serves_on(home_and_lake):
    home, lake = home_and_lake
    old, name = serving(home).name, another(home)
    canary = start(home, lake, name, RULES, now=BEGAN)
    assert running(home.releases) == canary
    assert (canary.against, serving(home).name) == (old, old)
    assert (home.releases / canary.release / "manifest.json").exists()
    with pytest.raises(ConfigError, match="one is tried at a time"):
        start(home, lake, old, RULES, now=BEGAN)


def test_what_cannot_be_tried_is_refused(home_and_lake, tmp_path):
    home, lake = home_and_lake
    with pytest.raises(ConfigError, match="serves already"):
        start(home, lake, serving(home).name, RULES, now=BEGAN)
    with pytest.raises(UnknownNameError):
        start(home, lake, "no-such-1", RULES, now=BEGAN)
    empty, its_lake = a_home(tmp_path / "empty")
    with pytest.raises(ConfigError, match="promote it"):
        start(empty, its_lake, "no-such-1", RULES, now=BEGAN)
    (home.releases / CANARY).write_text("{}")
    with pytest.raises(BrokenReleaseError, match="--stop"):
        running(home.releases)


def test_it_is_over_once_its_opponent_serves_no_more(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake)
    promote(home.releases, canary.release)
    assert running(home.releases) is None
    assert act(home, lake, now=BEGAN) is None
    assert not (home.releases / CANARY).exists()


def test_certain_harm_rolls_it_back_by_itself_and_the_verdict_is_kept(home_and_lake):
    home, lake = home_and_lake
    old, canary = serving(home).name, begun(home, lake)
    lived(lake, canary, gain=-0.3)
    early = act(home, lake, now=BEGAN + DAY)
    assert early is not None
    assert (early.decision, early.verdict and early.verdict.users) == ("go on", 0)
    found = act(home, lake, now=BEGAN + 12 * DAY)
    assert found is not None
    assert found.decision == "roll back"
    assert any("harm is certain" in reason for reason in found.reasons)
    assert running(home.releases) is None
    assert serving(home).name == old
    kept = json.loads((home.work / "canaries" / f"{canary.release}.json").read_text())
    assert kept["decision"] == "roll back"


def test_a_certain_gain_promotes_it(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake)
    lived(lake, canary, gain=0.4)
    found = act(home, lake, now=BEGAN + 12 * DAY)
    assert found is not None
    assert found.decision == "promote"
    assert serving(home).name == canary.release
    assert running(home.releases) is None


def test_undecided_it_ends_with_the_old_release(home_and_lake):
    home, lake = home_and_lake
    old, canary = serving(home).name, begun(home, lake)
    lived(lake, canary, gain=0.0, count=200)
    assert look(home, lake, now=BEGAN + 27 * DAY).decision == "go on"  # type: ignore[union-attr]
    found = act(home, lake, now=BEGAN + 28 * DAY)
    assert found is not None
    assert "28 days did not decide it" in found.reasons[0]
    assert (found.decision, serving(home).name) == ("roll back", old)


def test_rewards_that_come_too_late_for_every_user_are_told(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake, wait_h=1.0, window_h=1.0)
    lived(lake, canary, gain=0.4, count=60)
    found = look(home, lake, now=BEGAN + 20 * DAY)
    assert found is not None
    assert found.decision == "go on"
    assert "compute_rewards must run within 1 hours" in found.reasons[0]


def test_a_user_counts_once_settled_and_later_looks_find_the_same_of_him(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake)
    lived(lake, canary, gain=0.1, count=60, silent=0.3)
    tenants = load_tenants(home.tenants)
    early = panel_of(lake, canary, tenants, now=BEGAN + 7 * DAY)
    late = lake.scan("decisions", purpose="experiment").collect().to_dicts()[0]
    late = {**late, "groups": {"age_band": "adult"}}
    lake.append("rewards", [a_reward(late, -1.0, BEGAN + 20 * DAY)], writer="test")
    whole = panel_of(lake, canary, tenants, now=BEGAN + 30 * DAY)
    assert 0 < len(early.value) < len(whole.value) == 60
    kept = slice(0, len(early.value))
    np.testing.assert_array_equal(early.value, whole.value[kept])
    np.testing.assert_array_equal(early.treated, whole.treated[kept])
    assert np.isnan(whole.value).any()
    assert (whole.filled <= np.nan_to_num(whole.value, nan=1.0)).all()


def test_protected_control_and_other_releases_users_do_not_count(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake)
    control = next(n for n in (f"{p:032x}" for p in range(10**4)) if in_control(n))
    facts = {"ts": BEGAN + DAY, "groups": {"age_band": "adult"}, "release_id": canary.against}
    one, two, three, four = users(4)
    rows = [
        facts | {"user_id": one},
        facts | {"user_id": control},
        facts | {"user_id": two, "groups": {"age_band": "minor"}},
        facts | {"user_id": three, "release_id": "0" * 16},
        facts | {"user_id": four, "purposes": ["serve", "train"]},
        facts | {"user_id": four, "delivered": "pinned"},
    ]
    made = [a_decision(decision_id=f"d{i}", inference_id=f"d{i}", **r) for i, r in enumerate(rows)]
    lake.append("decisions", made, writer="test")
    panel = panel_of(lake, canary, load_tenants(home.tenants), now=BEGAN + 9 * DAY)
    assert panel.treated.tolist() == [canary.takes(one)]
    assert panel.filled.tolist() == [-1.0]


def test_nothing_else_is_promoted_while_it_goes_on(home_and_lake):
    home, lake = home_and_lake
    old, canary = serving(home).name, begun(home, lake)
    begin(home.releases, canary.model_copy(update={"since": dt.datetime.now(dt.UTC)}))
    policy = a_policy(temperature=0.7)
    a_candidate(home, policy, verdict=a_verdict(policy, incumbent=a_policy()), cards='{"b": 1}')
    told = promote_release(PromoteConfig(home=home.root))
    assert (told["release"], told["policy"], serving(home).name) == (old, "serving", old)
    assert "goes on" in told["reasons"][0]


def test_shares_are_what_they_say_sticky_and_independent_of_control():
    canary = Canary(release="a" * 16, against="b" * 16, since=BEGAN, share=0.2)
    names = [f"{place:032x}" for place in range(20_000)]
    taken = np.array([canary.takes(name) for name in names])
    held = np.array([in_control(name) for name in names])
    assert abs(taken.mean() - 0.2) < 4 * np.sqrt(0.16 / len(names))
    assert abs(taken[held].mean() - 0.2) < 4 * np.sqrt(0.16 / held.sum())
    other = canary.model_copy(update={"release": "c" * 16})
    both = np.mean([canary.takes(name) and other.takes(name) for name in names])
    assert abs(both - 0.04) < 4 * np.sqrt(0.04 / len(names))


def test_a_shadow_tells_agreement_and_value(home_and_lake):
    home, lake = home_and_lake
    canary = begun(home, lake, share=0.0)
    rng, rows, rewards = np.random.default_rng(1), [], []
    for place, user in enumerate(users(100)):
        for turn in range(10):
            taken = int(rng.random() < 0.5)
            row = a_decision(
                decision_id=f"d{place}-{turn}", inference_id="i", user_id=user, turn_index=turn,
                ts=BEGAN + DAY, action_index=taken, release_id=canary.against,
            )  # fmt: skip
            chances = {f"shadow:{canary.release}": 0.8}, {f"shadow:{canary.release}": 0.2}
            for one, features in zip(row["candidates"], chances, strict=True):
                one["features"] = features
            rows.append(row)
            rewards.append(a_reward(row, 0.4 if taken == 0 else 0.0, BEGAN + 2 * DAY))
    lake.append("decisions", rows, writer="test")
    lake.append("rewards", rewards, writer="test")
    found = look(home, lake, now=BEGAN + 3 * DAY)
    assert found is not None
    told = found.shadow
    assert told is not None
    assert told["decisions"] == 1000
    assert told["agreement"] == pytest.approx(0.7)
    assert told["value"]["estimate"] == pytest.approx(0.32, abs=0.01)
    assert told["gain"]["low"] > 0.08
    assert told["served"]["estimate"] == pytest.approx(0.2, abs=0.03)


def canary_command(home, *words):
    return CliRunner().invoke(app, ["release", "canary", *words, "--home", str(home.root)])


def test_the_command_starts_looks_judges_and_stops(home_and_lake):
    home, lake = home_and_lake
    assert json.loads(canary_command(home, "--json").stdout) == {"canary": None}
    assert canary_command(home, "x", "--stop").exit_code == 2
    hours = ("--window", "2", "--wait", "30")
    made = canary_command(home, another(home), "--share", "0.5", *hours, "--json")
    assert made.exit_code == 0, made.output
    canary = running(home.releases)
    assert canary is not None
    assert (canary.window_h, canary.wait_h) == (2.0, 30.0)
    assert "settled yet; one is, 32 hours" in " ".join(canary_command(home).stdout.split())
    begin(home.releases, canary.model_copy(update={"since": BEGAN, "days": 10_000.0}))
    lived(lake, canary, gain=-0.3, count=900)
    looked = canary_command(home)
    assert looked.exit_code == 0, looked.output
    for words in ("overall", "surely below", "roll back", "harm is certain"):
        assert words in " ".join(looked.stdout.split())
    assert running(home.releases) is not None
    assert canary_command(home, "--judge").exit_code == 3
    assert running(home.releases) is None
    assert json.loads(canary_command(home, "--stop", "--json").stdout) == {"ended": None}
