import json

import pytest

from rapport.card.document import to_text
from rapport.errors import BrokenReleaseError, ConfigError
from rapport.language.adapters import find_adapters
from rapport.language.library import Library
from rapport.pipeline.promotion import promote_judged, promote_named
from rapport.release import verify
from rapport.release_manifest import CARD
from tests.unit.card.cards import a_card, a_report, put_adapters
from tests.unit.pipeline.candidates import a_candidate, a_home, a_policy, a_verdict, serving


@pytest.fixture
def home_and_lake(tmp_path):
    return a_home(tmp_path)


def judged(home, reports, *, promoted=True):
    """A candidate with adapters, its verdict and its card."""
    put_adapters(home.work / "made" / "adapters", reports)
    policy = a_policy(temperature=0.5)
    folder = a_candidate(home, policy, verdict=a_verdict(policy, promoted=promoted))
    (folder / CARD).write_text(to_text(a_card(folder)))
    return folder


def test_a_refused_adapter_is_left_out_and_the_rest_is_published(home_and_lake):
    home, lake = home_and_lake
    folder = judged(home, {"shared": a_report(), "dry-01": a_report(gain=0.02)})
    told = promote_named(home, lake, folder.name, dry_run=True)
    result = promote_judged(home, lake, candidate=None)
    assert (result["policy"], result["refused"]) == ("candidate", True)
    assert result["reasons"] == told["reasons"]
    assert "dry-01" in result["reasons"][0]
    assert "the shared adapter answers" in result["reasons"][0]
    assert list(find_adapters(serving(home) / "adapters")) == ["shared"]
    assert verify(serving(home)).release_id == result["release"] == told["release"]


def test_without_the_shared_adapter_approved_replies_answer(home_and_lake):
    home, lake = home_and_lake
    judged(home, {"shared": a_report(gain=-0.2)}, promoted=False)
    result = promote_judged(home, lake, candidate=None)
    assert result["policy"] == "incumbent"
    assert "approved replies" in result["reasons"][-1]
    adapters = serving(home) / "adapters"
    assert not find_adapters(adapters)
    assert Library.load(adapters).showings == {}
    assert not (adapters / "discriminator.json").exists()


def test_a_candidate_whose_adapters_pass_is_published_as_it_was_judged(home_and_lake):
    home, lake = home_and_lake
    folder = judged(home, {"shared": a_report(), "dry-01": a_report()})
    result = promote_judged(home, lake, candidate=None)
    assert (result["refused"], result["release"]) == (False, folder.name)
    assert (serving(home) / CARD).exists()
    (serving(home) / CARD).write_text("{}")
    with pytest.raises(BrokenReleaseError, match=r"card\.json"):
        verify(serving(home))


def test_the_card_must_be_about_the_candidate(home_and_lake):
    home, lake = home_and_lake
    folder = judged(home, {"shared": a_report()})
    stated = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**stated, "candidate": "0123"}))
    with pytest.raises(ConfigError, match="about another"):
        promote_judged(home, lake, candidate=None)
    (folder / CARD).write_text("nothing")
    with pytest.raises(BrokenReleaseError, match="cannot be read"):
        promote_judged(home, lake, candidate=None)
