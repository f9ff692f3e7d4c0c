"""One ESConv dialogue, in the flat layout (`text`, `usr`, `sys`) or the published one.

Published entries are `{speaker: seeker | supporter, annotation: {strategy} | {feedback}, content}`;
the failed dialogues say `speaker` and `listener` and spell some strategies otherwise. The free-text
questions asked after the chat are mostly about the task and are not taken.

Source: Liu et al., ACL 2021 (arXiv:2106.01144); failed dialogues: its repository.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rapport.errors import RowError
from rapport.schema import content_id

ARMS = {
    "Question": "question",
    "Restatement or Paraphrasing": "restatement",
    "Reflection of feelings": "reflection",
    "Affirmation and Reassurance": "affirmation",
    "Providing Suggestions": "suggestion",
    "Information": "information",
    "Self-disclosure": "self_disclosure",
    "Others": "other",
}
"""ESConv's eight strategies as arms, in the order of every probability vector here."""

SPELLINGS = {
    **ARMS,
    "Questions": "question",
    "Restatement": "restatement",
    "Approval and Reassurance": "affirmation",
    "Direct Guidance": "suggestion",
    "Other": "other",
}
"""Strategy names as files write them."""

TYPES = ("experience_type", "emotion_type", "problem_type")
"""What the seeker said of the conversation before it began."""
_ROLES = {
    "usr": "user",
    "seeker": "user",
    "speaker": "user",
    "sys": "assistant",
    "supporter": "assistant",
    "listener": "assistant",
}
_SCORES = {
    "initial_emotion_intensity": ("seeker", "initial_emotion_intensity"),
    "final_emotion_intensity": ("seeker", "final_emotion_intensity"),
    "empathy": ("seeker", "empathy"),
    "relevance": ("seeker", "relevance"),
    "supporter_relevance": ("supporter", "relevance"),
}
_OUTSIDE = "is not a whole number from 1 to 5"
_MISSING = "is missing"


@dataclass(frozen=True)
class Turn:
    """One entry of a dialogue."""

    role: str
    """`user` (the seeker) or `assistant` (the supporter)."""
    text: str
    arm: str | None
    """Of the supporter's; none for the seeker's."""


@dataclass(frozen=True)
class Run:
    """Consecutive turns of one speaker: one action, or one message."""

    role: str
    first: int
    last: int
    """Turn indexes, both inside the run."""
    arm: str | None
    """Of its last turn."""
    mixed: bool
    """Whether its turns have different arms."""


@dataclass(frozen=True)
class Score:
    """A score as it stands in the file, not yet checked."""

    field: str
    value: object
    turn: int | None = None
    """Seeker's turn that carries a rating; none for the survey."""


@dataclass(frozen=True)
class Dialogue:
    """A valid dialogue; its scores are still to be checked one by one."""

    dialogue_id: str
    """From its content; equals `conversation_id`."""
    name: str | None
    """`dialog_id` where the file gives one."""
    types: Mapping[str, str]
    turns: tuple[Turn, ...]
    runs: tuple[Run, ...]
    survey: Mapping[str, Score]
    ratings: tuple[Score, ...]

    def run_before(self, turn: int) -> Run | None:
        """The supporter's run just before the seeker's run that a turn belongs to."""
        before = [run for run in self.runs if run.last < turn and run.role == "assistant"]
        return before[-1] if before else None


def parse(record: object, *, tenant: str) -> Dialogue:
    """Read a dialogue out of a JSON record.

    Raises:
        RowError: What makes the whole dialogue unusable: a field missing or not what it must be.
    """
    if not isinstance(record, dict):
        raise RowError("dialog", "the record is not an object")
    types = {name: _text(record, name, where=name) for name in TYPES}
    situation = _text(record, "situation", where="situation")
    survey = _survey(record)
    entries = _of_type(record, "dialog", kind=list)
    if not entries:
        raise RowError("dialog", "has no turns")
    turns = tuple(_turn(entry, f"dialog[{i}]") for i, entry in enumerate(entries))
    flat = any("text" in entry for entry in entries)
    said = [[turn.role, turn.arm, turn.text] for turn in turns]
    return Dialogue(
        dialogue_id=content_id(tenant, "esconv", json.dumps([types, situation, said])),
        name=_text(record, "dialog_id", where="dialog_id") if flat else None,
        types=types,
        turns=turns,
        runs=tuple(_runs(turns)),
        survey=survey,
        ratings=tuple(_ratings(entries, turns)),
    )


def whole_score(value: object, *, field: str) -> int:
    """A score from 1 to 5, written as a number or in digits.

    Raises:
        RowError: It is not one.
    """
    text = str(value).strip() if isinstance(value, int | str) else ""
    if text not in ("1", "2", "3", "4", "5"):
        raise RowError(field, _OUTSIDE)
    return int(text)


def _turn(entry: object, where: str) -> Turn:
    if not isinstance(entry, dict):
        raise RowError(where, "is not an object")
    role = _ROLES.get(_text(entry, "speaker", where=f"{where}.speaker"))
    if role is None:
        raise RowError(f"{where}.speaker", "is neither seeker nor supporter")
    key = "text" if "text" in entry else "content"
    text = _text(entry, key, where=f"{where}.{key}")
    return Turn(role, text, _arm(entry, where) if role == "assistant" else None)


def _arm(entry: Mapping[str, Any], where: str) -> str:
    holder = entry if "strategy" in entry else entry.get("annotation") or {}
    if not isinstance(holder, dict):
        raise RowError(f"{where}.annotation", "is not an object")
    arm = SPELLINGS.get(_text(holder, "strategy", where=f"{where}.strategy"))
    if arm is None:
        raise RowError(f"{where}.strategy", "is none of the eight strategies")
    return arm


def _survey(record: Mapping[str, Any]) -> dict[str, Score]:
    given = _of_type(record, "survey_score", kind=dict)
    scores = {}
    for metric, (person, name) in _SCORES.items():
        answers = given.get(person) or {}
        if not isinstance(answers, dict):
            raise RowError(f"survey_score.{person}", "is not an object")
        if answers.get(name) is not None:
            scores[metric] = Score(f"survey_score.{person}.{name}", answers[name])
    return scores


def _ratings(entries: list[dict[str, Any]], turns: tuple[Turn, ...]) -> Iterator[Score]:
    for index, (entry, turn) in enumerate(zip(entries, turns, strict=True)):
        notes = entry.get("annotation")
        given = notes.get("feedback") if isinstance(notes, dict) else None
        if turn.role == "user" and given is not None:
            yield Score(f"dialog[{index}].annotation.feedback", given, index)


def _runs(turns: tuple[Turn, ...]) -> Iterator[Run]:
    for role, group in groupby(enumerate(turns), key=lambda pair: pair[1].role):
        members = list(group)
        arms = [turn.arm for _, turn in members]
        yield Run(role, members[0][0], members[-1][0], arms[-1], len(set(arms)) > 1)


def _of_type(record: Mapping[str, Any], name: str, *, kind: type) -> Any:  # noqa: ANN401  (parsed JSON)
    if record.get(name) is None:
        raise RowError(name, _MISSING)
    if not isinstance(record[name], kind):
        raise RowError(name, f"is not {'an object' if kind is dict else 'a list'}")
    return record[name]


def _text(record: Mapping[str, Any], name: str, *, where: str) -> str:
    value = record.get(name)
    if value is None:
        raise RowError(where, _MISSING)
    if not isinstance(value, str):
        raise RowError(where, "is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError(where, "is not UTF-8") from None
    return value.strip()
