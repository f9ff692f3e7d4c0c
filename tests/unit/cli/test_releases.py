import json

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.pipeline.ports import digest_tree
from rapport.pipeline.promotion import promote_judged
from rapport.store import open_store
from tests.unit.pipeline.candidates import REASON, a_candidate, a_home, a_policy, a_verdict, serving


@pytest.fixture
def home(tmp_path):
    home, lake = a_home(tmp_path)
    policy = a_policy()
    a_candidate(home, policy, verdict=a_verdict(policy))
    promote_judged(home, lake, candidate=None)
    return home


def release(home, *words):
    return CliRunner().invoke(app, ["release", *words, "--home", str(home.root)])


def judged(home, *, promoted):
    policy = a_policy(temperature=0.5)
    verdict = a_verdict(policy, promoted=promoted, incumbent=a_policy())
    return a_candidate(home, policy, verdict=verdict, cards='{"a": 1}').name


@pytest.mark.parametrize(("promoted", "code"), [(True, 0), (False, 3)])
def test_a_dry_promotion_ends_as_the_real_one_and_changes_nothing(home, promoted, code):
    name = judged(home, promoted=promoted)
    before = digest_tree(home.root)
    dry = release(home, "promote", name, "--dry-run", "--json")
    assert (dry.exit_code, digest_tree(home.root)) == (code, before)
    real = release(home, "promote", name, "--json")
    assert real.exit_code == code
    told, done = json.loads(dry.stdout), json.loads(real.stdout)
    assert told["release"] == done["release"] == serving(home).name


def test_people_see_the_verdict_as_a_table_with_margin_n_and_error_rates(home):
    shown = release(home, "promote", judged(home, promoted=False), "--dry-run")
    assert shown.exit_code == 3
    text = " ".join(shown.stdout.split())
    for words in (
        "overall", "+.050", "+.030", "REFUSED", REASON, "Margin 0.02 a group", "1,000 decisions",
        "seen in 80 %", "question 0.90", "ESS 400 of 200 needed",
    ):  # fmt: skip
        assert words in text, text


def test_broken_unknown_and_refused_releases_have_exit_codes_of_their_own(home):
    name = serving(home).name
    assert release(home, "promote", "no-such-1").exit_code == 2
    assert release(home, "promote", judged(home, promoted=False)).exit_code == 3
    (home.releases / name / "guard.json").write_text("!")
    broken = release(home, "promote", name, "--dry-run")
    assert broken.exit_code == 1
    assert "guard.json" in broken.output


def test_rolling_back_and_showing(home):
    before = serving(home).name
    release(home, "promote", judged(home, promoted=True))
    back = release(home, "rollback", "--json")
    assert json.loads(back.stdout)["release"] == before == serving(home).name
    assert release(home, "verify").exit_code == 0
    assert "Verdict: promoted" in release(home, "show").stdout
    assert release(home, "rollback").exit_code == 2


def test_a_switch_is_turned_off_and_on_and_who_did_it_is_kept(home):
    told = json.loads(release(home, "disable", "arm", "suggestion", "--json").stdout)
    assert told["all that is off"] == ["arm suggestion"]
    assert release(home, "enable", "arm", "suggestion").exit_code == 0
    store = open_store(home.store_url)
    history = store.switches.history()
    assert store.switches.off() == frozenset()
    store.close()
    assert [turn.off for turn in history] == [True, False]
    assert all(turn.by for turn in history)


@pytest.mark.parametrize(
    "words",
    [
        ("disable", "arm", "sugestion"),
        ("disable", "persona", "nobody-01"),
        ("disable", "adapter", "nobody-01"),
        ("disable", "policy", "x"),
        ("enable", "arm", "suggestion"),
    ],
)
def test_what_is_not_there_or_not_off_cannot_be_switched(home, words):
    assert release(home, *words).exit_code == 2
