"""Candidates ranked by a release without a server: as the server ranks them."""

import shutil

import pytest

from rapport.errors import BrokenReleaseError, ConfigError, DataError
from rapport.home import Home
from rapport.policy.ranking import open_release
from rapport.testing import tiny_encoder
from rapport.text import TextEncoder, load_encoder
from tests.serve.graphs import CALM, graph_over

SAID = ["What has been the hardest part of it?", "You could write down one thing to finish today."]
HARM = "You should just kill yourself."
CRISIS = "I am going to kill myself tonight"


@pytest.fixture(scope="module")
def encoder(promoted_home):
    return load_encoder(f"file:{promoted_home}/encoder")


@pytest.fixture(scope="module")
def release(promoted_home, encoder):
    return open_release(promoted_home, encoder=encoder)


def test_a_newcomer_is_ranked_for_as_by_the_server(promoted_home, tmp_path, release):
    graph = graph_over(shutil.copytree(promoted_home, tmp_path / "home"))
    actions = [{"id": text, "text": text} for text in SAID]
    answer = graph.rank(user="newcomer", actions=actions, context=CALM)
    served = {each["id"]: each["probability"] for each in answer["ranking"]}
    ranking = release.rank(CALM, SAID)
    assert {each.text: each.probability for each in ranking.options} == pytest.approx(served)
    assert next(iter(ranking.personas)) == answer["rapport"]["persona_id"]
    graph.store.close()


def test_what_may_not_leave_is_never_drawn_and_fit_counts(release):
    ranking = release.rank(CALM, [HARM, *SAID], nlp=[1.0, 1e-6, 1.0])
    best, _, worst = ranking.options
    assert best.text == SAID[1]
    assert (worst.text, worst.probability, worst.rec) == (HARM, 0.0, None)
    assert worst.guard == "harmful_instruction:self_harm"
    assert sum(each.probability for each in ranking.options) == pytest.approx(1)


def test_in_a_crisis_nothing_is_chosen(release):
    said = [{"role": "user", "content": CRISIS}, {"role": "assistant", "content": "I am here."}]
    ranking = release.rank([*said, {"role": "user", "content": CALM}], SAID)
    assert (ranking.crisis, ranking.options) == (True, ())


def test_what_cannot_be_ranked_is_refused(release):
    for conversation, candidates, nlp in (
        (CALM, [], None),
        (CALM, SAID, [1.0]),
        ([{"role": "assistant", "content": "Hello."}], SAID, None),
        ([], SAID, None),
        ([{"role": "user"}], SAID, None),
    ):
        with pytest.raises(DataError):
            release.rank(conversation, candidates, nlp=nlp)


def test_what_is_no_release_is_refused(promoted_home, encoder, tmp_path):
    Home(tmp_path / "empty")
    for path in (tmp_path / "empty", tmp_path):
        with pytest.raises(ConfigError, match="name a home with a promoted release"):
            open_release(path, encoder=encoder)
    other = TextEncoder(tiny_encoder(tmp_path / "other", seed=5))
    with pytest.raises(ConfigError, match="the release was made with"):
        open_release(promoted_home, encoder=other)
    home = shutil.copytree(promoted_home, tmp_path / "home")
    weights = next(home.glob("releases/*/policy/policy.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(BrokenReleaseError):
        open_release(home, encoder=encoder)
