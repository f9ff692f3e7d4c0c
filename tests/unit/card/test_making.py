import json

import pytest

from rapport.affect.reward import REWARD
from rapport.card.document import Line, Section, read_card, to_text, worst
from rapport.errors import BrokenReleaseError
from rapport.release_manifest import CARD
from tests.unit.card.cards import a_card, a_group_row, a_judgement, a_report

WARM_BUT_WRONG = Section(
    name="reliability",
    title="Does warmth cost truth?",
    question="harms",
    status="refused",
    reason="maple-79 errs more when people are sad",
    lines=(
        Line(group="adapter/shared", metric="error", status="passed"),
        Line(group="adapter/maple-79", metric="error", status="refused", note="errs more"),
    ),
)


def test_one_refusal_of_any_section_refuses_an_adapter_and_no_other(tmp_path):
    reports = {"shared": a_report(), "maple-79": a_report(), "dry-01": a_report(gain=0.05)}
    card = a_card(tmp_path, reports=reports, measured=[WARM_BUT_WRONG])
    assert card.adapters["shared"].passed
    assert card.adapters["maple-79"].reasons == ("reliability: errs more",)
    assert "no held-out gain" in card.adapters["dry-01"].reasons[0]
    assert card.section("adapters").status == "refused"
    assert card.status == "refused"


def test_what_was_not_measured_is_said_with_the_command_that_measures_it(tmp_path):
    card = a_card(tmp_path, reports={"shared": a_report()})
    assert card.status == "not measured"
    assert card.section("ladder").reason == "not measured: rapport evaluate ladder"
    assert any("warmth" in sentence for sentence in card.cannot_say)
    assert any("simulated" in sentence for sentence in card.cannot_say)


def test_groups_carry_their_own_verdicts_and_a_harmed_one_refuses(tmp_path):
    rows = (
        a_group_row("persona/dry-01", low=0.01),
        a_group_row("persona/warm-02", low=-0.3, status="failed"),
        a_group_row("channel/app", low=0.0, status="skipped", note="too little data"),
    )
    groups = a_card(tmp_path, verdict=a_judgement(*rows)).section("groups")
    found = {line.group: line.status for line in groups.lines}
    assert found == {
        "persona/dry-01": "passed",
        "persona/warm-02": "refused",
        "channel/app": "too little data",
    }
    assert groups.status == "refused"
    assert "warm-02" in groups.reason
    assert all(line.n == 300 and line.ess == 150.0 for line in groups.lines)


SHOWN = {"rho": 0.5, "low": 0.4, "high": 0.6, "n": 392}
CHANCE = {"rho": 0.02, "low": -0.1, "high": 0.1, "n": 300}


def reward_of(folder, evidence, **weights):
    (folder / "reward.json").write_text(json.dumps({"evidence": evidence, "weights": weights}))
    return a_card(folder).section("reward")


def test_the_reward_stands_beside_the_gain_with_what_its_weights_rest_on(tmp_path):
    evidence = {"rating": {**SHOWN, "retained": SHOWN}, "dwell": CHANCE}
    reward = reward_of(tmp_path, evidence, rating=1, thumbs=1)
    assert reward.status == "passed"
    assert [(line.group, line.status) for line in reward.lines] == [
        *[("channel/dwell", None)] * 2,
        *[("channel/rating", "passed")] * 2,
    ]
    assert "thumbs" in reward.notes[1]
    assert reward_of(tmp_path, evidence, dwell=0.1).status == "refused"
    (tmp_path / "reward.json").write_text("{}")
    assert "states no evidence" in a_card(tmp_path).section("reward").reason


def test_a_reward_that_only_tells_failures_apart_is_not_said_to_follow_relief(tmp_path):
    reward = reward_of(tmp_path, {"rating": {**SHOWN, "retained": CHANCE}}, rating=1)
    assert reward.status == "too little data"
    assert reward.reason.startswith("rating: follows the relief")
    assert "among the others none is shown" in reward.reason
    whole, alone = reward.lines
    assert (whole.status, whole.low, whole.n) == ("passed", 0.4, 392)
    assert (alone.status, alone.low, alone.n) == ("too little data", -0.1, 300)
    # A release that was made before says nothing of retained dialogues.
    older = reward_of(tmp_path, {"rating": SHOWN}, rating=1)
    assert older.status == older.lines[1].status == "not measured"


def test_the_shipped_reward_claims_no_more_than_was_seen(tmp_path):
    (tmp_path / "reward.json").write_text(REWARD.model_dump_json())
    reward = a_card(tmp_path).section("reward")
    assert reward.status == "too little data"
    assert reward.reason.startswith("sentiment: ")


def test_a_card_is_read_back_as_it_was_written_and_a_broken_one_is_named(tmp_path):
    card = a_card(tmp_path, reports={"shared": a_report()})
    assert read_card(tmp_path) is None
    (tmp_path / CARD).write_text(to_text(card))
    assert read_card(tmp_path) == card
    (tmp_path / CARD).write_text("{}")
    with pytest.raises(BrokenReleaseError, match="cannot be read"):
        read_card(tmp_path)


def test_the_worst_status_stands_for_all():
    assert worst(["passed", "not measured"]) == "not measured"
    assert worst(["passed", "too little data", "not measured"]) == "too little data"
    assert worst(["passed", "refused", "too little data"]) == "refused"
    assert worst(["passed"]) == "passed"
