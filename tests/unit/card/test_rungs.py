from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rapport.arms import load_menu
from rapport.card.rungs import RUNGS, Asked, Learned, answers, questioned
from rapport.language.library import Library
from rapport.language.prompts import Message
from rapport.language.showing import Share, Showing

MENU = load_menu()
SHOWN = Share(n=20, share=1.0, low=0.8, high=1.0)
HIDDEN = Share(n=20, share=0.0, low=0.0, high=0.2)


@dataclass
class Told:
    """An engine that writes down what it was asked."""

    adapters: tuple[str, ...] = ("shared", "dry-01")
    prompts: list[Any] = field(default_factory=list)


def learned(monkeypatch, *, adapters=("shared", "dry-01"), shown=()):
    engine: Any = Told(adapters)

    def complete(_engine, requests):
        engine.prompts += [(each.adapter, each.messages) for each in requests]
        return [type("Written", (), {"text": "written"}) for _ in requests]

    monkeypatch.setattr("rapport.card.writers.complete", complete)
    arms = {arm.name: SHOWN if arm.name in shown else HIDDEN for arm in MENU.served}
    showing = Showing(chance=1 / 8, overall=SHOWN, arms=arms)
    library = Library({MENU.agent_id: showing})
    return engine, Learned(engine, {"dry-01": "This person is dry."}, MENU, library)


def asked(persona="dry-01"):
    conversation = [Message(role="user", content=f"hello from {persona}")]
    return Asked(conversation, persona, MENU["reflection"], MENU["question"])


def test_each_rung_holds_what_it_says_and_no_more(monkeypatch):
    engine, release = learned(monkeypatch, shown=("reflection",))
    for rung in RUNGS:
        assert answers(rung, release, [asked()]) == ["written"]
    found = dict(zip(RUNGS, engine.prompts, strict=True))
    adapters = {rung: adapter for rung, (adapter, _) in found.items()}
    assert [adapters[rung] for rung in RUNGS] == [None, None, None, "dry-01", "dry-01"]
    texts = {rung: str(messages) for rung, (_, messages) in found.items()}
    assert "Reply kindly" not in texts["base"]
    assert "Reply kindly" in texts["prompt"]
    assert "This person is dry." in texts["few_shot_context"]
    assert MENU["question"].instruction in texts["few_shot_context"]
    assert MENU["question"].instruction in texts["adapter"]
    assert MENU["reflection"].instruction in texts["adapter_policy"]
    assert "This person is dry." not in texts["adapter"]


def test_kinds_that_the_model_does_not_show_come_from_the_library_as_in_serving(monkeypatch):
    engine, release = learned(monkeypatch)
    (reply,) = answers("adapter_policy", release, [asked()])
    assert reply in MENU["reflection"].replies
    assert engine.prompts == []


def test_a_persona_without_an_adapter_is_answered_by_the_shared_one_and_the_order_stays(
    monkeypatch,
):
    engine, release = learned(monkeypatch, adapters=("shared",))
    people = [asked("dry-01"), asked("warm-02"), asked("dry-01")]
    assert answers("adapter", release, people) == ["written"] * 3
    assert {adapter for adapter, _ in engine.prompts} == {"shared"}
    _, bare = learned(monkeypatch, adapters=())
    assert bare.adapter("dry-01") is None


def test_questions_are_asked_on_the_rungs_that_can_answer_otherwise(monkeypatch):
    _, release = learned(monkeypatch)
    writers: dict[str, Any] = {rung: questioned(rung, release, [asked()]) for rung in RUNGS}
    assert writers["adapter_policy"] is None
    assert [writers[rung].adapter for rung in RUNGS[:4]] == [None, None, None, "dry-01"]
    assert np.unique([writers[rung].level for rung in RUNGS[:4]]).size == 3
