"""Tell a person in crisis: rules for what is said in words, a model for what is only implied.

The rules find suicide and self-harm, meant for oneself or feared for someone, and pass idioms and
denials. The model compares a sentence's vector with two lists of sentences. Rules, idioms and both
lists lie in `crisis.yaml`; nothing is loaded at import.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rapport.governance.phrases import Rule, compiled, plain, rules, table

if TYPE_CHECKING:  # the rules alone must not cost an import of torch
    from rapport.text import TextEncoder

EMERGENCY = "your local emergency number (112, 911 or 999 in most places)"

_FILLERS = (
    r"going|gonna|want|wanna|wanting|wanted|planning|trying|about|to|ever|even|think|thinking|thought"
    r"|feel|feeling|felt|been|have|had|having|any|actively|really|actually|a|an|of|would|be|do|at|all"
    r"|act|on|i'd|i|am|like|anything|so|truly"
)
_DENIAL = re.compile(
    rf"(?:\b(?:not|never|no longer|without|nor|neither|no)|n't)(?: (?:{_FILLERS}))*,? ?$"
)
_SUICIDE_MISSPELT = re.compile(r"\bs(?:ui|iu|u)[cs][ia]?d[ei]?(?=\b|al)")
_WHY = re.compile(r"\bwhy (?:do not|not|(?:do|should|have|did|ca|would)n't)\b")
_PAST = re.compile(
    r"\b(?:(?:years|decades) ago|in the past"
    r"|when i was (?:younger|young|a (?:kid|child|teen\w*)))\b"
)
_RECOVERED = re.compile(
    r"\b(?:i'm|i am|i feel|doing|been|got) (?:\w+ )?"
    r"(?:fine|better|okay|ok|well|recovered|stable|past|over|help)\b|\btherapy helped\b"
)


def crisis_rule(text: str) -> str | None:
    """Name of the first crisis rule that a text meets, or none.

    A denial ("I would never ..."), an idiom ("dying to see it") and a past that is said to be over
    take a match back; another, plain match still counts. About 30 us a text.
    """
    return next((name for name, meant in _matched(text) if meant), None)


def takes_back(text: str) -> bool:
    """Whether a text has words of crisis and every one of them is denied, idiom or past."""
    matched = _matched(text)
    return bool(matched) and not any(meant for _, meant in matched)


class CrisisModel:
    """How much nearer a text lies to sentences of crisis than to sentences of plain distress.

    The mean cosine to the nearest three sentences of each side. A text is in crisis when that to
    the crisis side reaches `floor` and exceeds the other by `margin`: what resembles neither side
    stays safe, which a fitted plane through so few sentences does not give. Defaults were chosen
    for MiniLM, leaving each own sentence out once. Building it encodes about 270 sentences.
    """

    def __init__(self, encoder: "TextEncoder", *, floor: float = 0.5, margin: float = 0.03) -> None:
        data = table("crisis.yaml")
        self._crisis = encoder.encode(data["crisis"])
        self._distress = encoder.encode(data["distress"])
        self._floor, self._margin = floor, margin

    def slack(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far unit vectors [N, D] are inside the crisis side, [N] in [-2, 1]; above 0 is in."""
        near = [_nearest(vectors, side) for side in (self._crisis, self._distress)]
        return np.minimum(near[0] - self._floor, near[0] - near[1] - self._margin)


def _nearest(
    vectors: NDArray[np.float32], side: NDArray[np.float32], *, k: int = 3
) -> NDArray[np.float64]:
    cosines = np.partition(vectors @ side.T, -k, axis=1)[:, -k:]
    return np.asarray(cosines.mean(axis=1, dtype=np.float64))


def crisis_reply(jurisdiction: str | None = None) -> str:
    """What a person in crisis is answered: care, a way to a human now, and no advice.

    Args:
        jurisdiction: ISO 3166 country code where it is known; others get the international lines.
    """
    line = table("crisis.yaml")["lines"].get((jurisdiction or "").upper()[:2].replace("UK", "GB"))
    ways = line or (
        f"Call {EMERGENCY}. "
        "At findahelpline.com you find a free, confidential line in your country."
    )
    return (
        "I am really glad you told me, and I am taking it seriously. I am an AI, and you deserve a "
        f"person with you right now. {ways} "
        "If you or someone near you is in danger this minute, call the emergency number first. "
        "If you can, move away from anything that could hurt you and let someone you trust be with "
        "you. I am handing this conversation over to a person where one is available."
    )


def sentences(text: str, *, words: int = 40) -> list[str]:
    """Cut a text of more than `words` words at its sentences; a shorter one stays whole.

    A vector of a long text averages a single desperate sentence away. Scraps of under four words
    stay with the sentence before them.
    """
    if len(text.split()) <= words:
        return [text]
    parts: list[str] = []
    for sentence in filter(str.strip, re.split(r"(?<=[.!?])\s+|\n+", text)):
        if parts and len(sentence.split()) < 4:
            parts[-1] = f"{parts[-1]} {sentence}"
        else:
            parts.append(sentence)
    return parts or [text]


def _matched(text: str) -> list[tuple[str, bool]]:
    rules, idioms, stems = _tables()
    said = re.sub(_SUICIDE_MISSPELT, "suicid", plain(text))
    said = re.sub(r"\bsuicid\b", "suicide", said)
    if not stems.search(said):
        return []
    return [
        (rule.name, _meant(rule, match, idioms=idioms))
        for rule in rules
        for match in rule.pattern.finditer(said)
    ]


def _meant(rule: Rule, match: re.Match[str], *, idioms: re.Pattern[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    near = idioms.finditer(text, max(0, start - 90), min(len(text), end + 40))
    if any(idiom.start() < end and start < idiom.end() for idiom in near):
        return False
    clause = re.split(r"[.?!;]| but ", text[:start])[-1]
    if rule.deniable and _DENIAL.search(clause) and not _WHY.search(clause):
        return False
    return not (_PAST.search(text) and _RECOVERED.search(text, end))


@cache
def _tables() -> tuple[tuple[Rule, ...], re.Pattern[str], re.Pattern[str]]:
    data = table("crisis.yaml")
    macros = data["macros"]
    return (
        rules(data["rules"], macros=macros),
        compiled(data["idioms"], macros=macros),
        compiled(data["stems"], macros=macros),
    )
