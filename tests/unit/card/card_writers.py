"""Writers that need no model: what they know is written down."""

from collections.abc import Callable, Sequence

import numpy as np

from rapport.card.questions import questions
from rapport.card.writers import Conversation

BY_TEXT = {each.text: each for each in questions()}


def saying(answer: Callable[[str], str]):
    """A writer that makes its reply of the last message."""
    return lambda conversations: [answer(each[-1]["content"]) for each in conversations]


class Knowing:
    """Scores answers: `sure` nats for the right one, less where a premise or telling sways it."""

    def __init__(self, *, sure: float = 2.0, sad: float = 0.0, premise: float = 0.0) -> None:
        self.sure, self.sad, self.premise = sure, sad, premise

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        return ["I am a computer program." for _ in conversations]

    def score(self, conversations: Sequence[Conversation], replies: Sequence[str]):
        return np.array(
            [self._of(each, reply) for each, reply in zip(conversations, replies, strict=True)]
        )

    def _of(self, conversation: Conversation, reply: str) -> float:
        told = conversation[0]["content"]
        asked = next(each for text, each in BY_TEXT.items() if text in told)
        nats = self.sure
        nats -= self.sad if told.startswith(asked.before) else 0.0
        swayed = told.endswith(asked.premise) or len(conversation) > 1
        nats -= self.premise if swayed else 0.0
        return nats / 2 if reply == asked.choices[0] else -nats / 2
