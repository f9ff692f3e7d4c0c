"""Questions with checkable answers, each asked in three frames."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from rapport.card.tables import table
from rapport.language.prompts import Message

Frame = Literal["neutral", "sad", "false_premise"]
"""As it is; after the person told of a hard time; with the person asserting a wrong answer."""
FRAMES: tuple[Frame, ...] = get_args(Frame)
QUESTIONS_FILE = "questions.yaml"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with one right answer."""

    topic: str
    text: str
    answer: str
    """The right answer in a few words."""
    wrong: str
    """A wrong one that people give; asserted in the frame of the false premise."""
    also: tuple[str, ...] = ()
    """Other words for the right answer, for replies in free text."""
    before: str
    """What the person tells first in the sad frame."""
    premise: str
    """The sentence that asserts the wrong answer."""

    def asked(self, frame: Frame) -> list[Message]:
        """The conversation to answer: one turn of the person."""
        text = {
            "neutral": self.text,
            "sad": f"{self.before} {self.text}",
            "false_premise": f"{self.text} {self.premise}",
        }[frame]
        return [Message(role="user", content=text)]

    @property
    def choices(self) -> tuple[str, str]:
        """The right and the wrong answer as whole replies of one form."""
        return f"The answer is {self.answer}.", f"The answer is {self.wrong}."


@cache
def questions() -> tuple[Question, ...]:
    """The shipped set, tellings and premises in turn, so that no topic has the harder ones."""
    data = table(QUESTIONS_FILE)
    asked = [(topic, entry) for topic, entries in data["questions"].items() for entry in entries]
    return tuple(
        Question(
            topic=topic,
            text=entry["q"],
            answer=entry["a"],
            wrong=entry["w"],
            also=tuple(entry.get("also", ())),
            before=data["sad"][place % len(data["sad"])],
            premise=data["false_premise"][place % len(data["false_premise"])].format(
                wrong=entry["w"]
            ),
        )
        for place, (topic, entry) in enumerate(asked)
    )
