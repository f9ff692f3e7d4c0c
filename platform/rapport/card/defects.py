"""Defects of replies, by rules on words.

Too many words, several techniques glued together, a closing question by habit, claims about the
person that nobody made. English only. People have them too: `HUMAN` says how often at most, as
measured on ESConv's supporters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from rapport.card.tables import CONDUCT, conduct, table
from rapport.governance.phrases import plain
from rapport.language.prompts import Message

MOST_WORDS = 45
"""95 of 100 replies of human supporters are no longer; read on every other dialogue of ESConv."""
GLUED = 3
"""Techniques in one reply that count as glued together."""
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_YOUR = re.compile(
    r"\byour(?: (?:own|dear|late|beloved|new|old|current|former|ex|little|best))* (\w+)"
)
_TOLD = re.compile(
    r"\b(?:you(?:'ve| have)? (?:said|mentioned|told me|shared|described|explained)"
    r"|as you (?:said|mentioned|told me))(?: that)? ([^.!?,;]+)"
)
_PERIOD = re.compile(r"\b(\w+) (?:years?|months?|weeks?)\b")
_LONG_WORD = 5


def wordy(reply: str) -> bool:
    """Whether a reply is longer than what nearly all human supporters write."""
    return len(reply.split()) > MOST_WORDS


def glued(reply: str) -> bool:
    """Whether a reply strings three or more techniques together."""
    return len(techniques(reply)) >= GLUED


def closing_question(reply: str) -> bool:
    """Whether a reply that already said something else ends on an open question."""
    parts = _sentences(reply)
    return len(parts) > 1 and _is_open(parts[-1])


def ungrounded(reply: str, said: Sequence[str]) -> bool:
    """Whether a reply tells of the person what nobody said.

    "your X" where X is a person, place or matter of somebody's life that no turn speaks of in any
    word for it; "you mentioned that ..." in words of which most were not said.

    Args:
        reply: Of the writer.
        said: Every text of the conversation before it.
    """
    spoken, known = plain(reply), set(_WORD.findall(plain(" ".join(said))))
    named = (match[1] for match in _YOUR.finditer(spoken))
    if any(word in _facts() and not _facts()[word] & known for word in named):
        return True
    return any(_put_in_mouth(match[1], known) for match in _TOLD.finditer(spoken))


def techniques(reply: str) -> frozenset[str]:
    """Techniques that a reply shows, each sentence one at most: the first that it meets."""
    return frozenset(found for part in _sentences(reply) if (found := _technique(part)))


def defects(reply: str, conversation: Sequence[Message]) -> dict[str, bool]:
    """Every defect by name, and whether a reply to a conversation has it."""
    said = [message["content"] for message in conversation]
    return {name: has(reply, said) for name, has in DEFECTS.items()}


DEFECTS: Mapping[str, Callable[[str, Sequence[str]], bool]] = {
    "wordy": lambda reply, _said: wordy(reply),
    "glued": lambda reply, _said: glued(reply),
    "closing_question": lambda reply, _said: closing_question(reply),
    "ungrounded": ungrounded,
}

HUMAN: Mapping[str, float] = {
    "wordy": 0.022,
    "glued": 0.008,
    "closing_question": 0.196,
    "ungrounded": 0.006,
}
"""Upper ends of the 95 % intervals of human supporters' shares, early replies of every other ESConv
dialogue, n 1,258; `humans.human_defects` measures them again."""


def _sentences(reply: str) -> list[str]:
    return [part for found in _SENTENCE.findall(plain(reply)) if (part := found.strip())]


def _is_open(sentence: str) -> bool:
    if not sentence.endswith("?"):
        return sentence.startswith("tell me")
    (rule,) = conduct("open_question")
    return any(
        not match.start() or sentence[: match.start()].rstrip().endswith((",", "and", "so", "but"))
        for match in rule.pattern.finditer(sentence)
    )


def _technique(sentence: str) -> str | None:
    if sentence.endswith("?"):
        return "question"
    bare = sentence.rstrip(".! ")
    return next((rule.name for rule in conduct("techniques") if rule.pattern.match(bare)), None)


def _put_in_mouth(told: str, known: set[str]) -> bool:
    words = [word for word in _WORD.findall(told) if len(word) >= _LONG_WORD]
    return sum(word not in known for word in words) > len(words) / 2


@cache
def _facts() -> Mapping[str, frozenset[str]]:
    """Words of which any grounds the first word of a line."""
    lines = [line.split() for line in table(CONDUCT)["facts"]]
    return {words[0]: frozenset(words) for words in lines}
