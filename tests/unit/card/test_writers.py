import numpy as np
import pytest

from rapport.arms import load_menu
from rapport.card.writers import (
    EngineWriter,
    LibraryWriter,
    ScoringWriter,
    adapted_writer,
    always,
    bare_writer,
    open_engine,
    prompted_writer,
)
from rapport.language.library import Library
from rapport.language.prompts import Message
from rapport.language.showing import Showing, recovered
from rapport.language.transformers_engine import TransformersEngine
from rapport.testing import tiny_language_model

TOLD = [Message(role="user", content="I keep failing my exams.")]
ASKED = [Message(role="user", content="Which day comes after Monday?")]
INFORMATION = load_menu()["information"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    return open_engine(tiny_language_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_a_bare_prompt_is_the_conversation_and_each_level_adds_to_it(engine):
    bare, role = bare_writer(engine), prompted_writer(engine)
    asked = prompted_writer(engine, level="few_shot", choose=always(INFORMATION))

    assert bare.prompt(ASKED) == ASKED
    assert role.prompt(ASKED)[0]["role"] == "system"
    assert "Example:" in asked.prompt(ASKED)[0]["content"]
    assert INFORMATION.prompt in asked.prompt(ASKED)[-1]["content"]
    assert adapted_writer(engine, "kind").adapter == "kind"


def test_replies_are_greedy_and_do_not_depend_on_when_they_are_asked_for(engine):
    write = EngineWriter(engine=engine, max_tokens=6)

    first = write([TOLD, ASKED])
    assert first == write([TOLD, ASKED])
    assert len(first) == 2


def test_a_score_is_the_log_probability_of_each_reply(engine):
    write = prompted_writer(engine)

    found = write.score([ASKED, ASKED], ["Tuesday", "Tuesday, I think it is."])

    assert isinstance(write, ScoringWriter)
    assert found.shape == (2,)
    assert (found < 0).all()
    assert np.allclose(found, write.score([ASKED, ASKED], ["Tuesday", "Tuesday, I think it is."]))


def test_the_library_answers_what_the_model_does_not_show():
    shown = load_menu()["question"]
    right = {arm.name: recovered(18 if arm is shown else 2, 20) for arm in load_menu().served}
    showing = Showing(chance=1 / 8, overall=recovered(100, 160), arms=right)

    write = LibraryWriter(
        written=lambda conversations: ["written" for _ in conversations],
        library=Library({"emotional_support": showing}),
        agent_id="emotional_support",
        choose=lambda conversation: INFORMATION if conversation is TOLD else shown,
    )

    told, asked = write([TOLD, ASKED])
    assert told in INFORMATION.replies
    assert asked == "written"
