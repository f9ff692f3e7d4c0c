"""What may not leave as a reply: harm, private data, repetition, guilt, false humanity."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from rapport.governance.phrases import Rule, plain, rules, table
from rapport.governance.redaction import spans
from rapport.governance.verdicts import SAFE, Kind, Verdict

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_MARKUP = re.compile(
    r"<\|\w+\|>|\[/?(?:INST|SYS)\]|^\s*\[[a-z_]{3,40}\]|\n(?:user|assistant|system)\s*[:\n]"
)
_RUN = re.compile(r"([^\s.\-_*=])\1{7,}|([.\-_*=!?])\2{15,}")


def fault(text: str) -> Verdict:
    """The worst thing wrong with a reply, `safe` when nothing is. About 0.2 ms a reply."""
    spoken = plain(text)
    words = _WORD.findall(spoken)
    if not words:
        return Verdict("empty", "no_words")
    harm = _said(spoken, kind="harmful_instruction")
    if harm:
        return Verdict("harmful_instruction", harm)
    private = spans(text)
    if private:
        return Verdict("pii", private[0].kind.lower())
    loop = repetition(text, words=words)
    if loop:
        return Verdict("degenerate", loop)
    guilt = _said(spoken, kind="guilt_on_goodbye")
    if guilt:
        return Verdict("guilt_on_goodbye", guilt)
    claim = _said(spoken, kind="claims_feelings_or_past")
    return Verdict("claims_feelings_or_past", claim) if claim else SAFE


def _said(spoken: str, *, kind: Kind) -> str | None:
    return next((rule.name for rule in _rules(kind) if rule.pattern.search(spoken)), None)


def repetition(text: str, *, words: Sequence[str]) -> str | None:
    """How a reply runs in circles, or none.

    A word four times running, a sentence three times, a character run, leaked markup, or, from
    16 words on, fewer than half of the three-word sequences distinct.

    Args:
        text: The reply.
        words: Its lower-case words, in order.
    """
    if _MARKUP.search(text):
        return "markup"
    if _RUN.search(text):
        return "characters"
    streak = 1
    for before, word in pairwise(words):
        streak = streak + 1 if word == before else 1
        if streak == 4:
            return "word"
    lines = Counter(s.strip().lower() for s in re.split(r"[.!?\n]+", text) if len(s.split()) > 2)
    if max(lines.values(), default=0) >= 3:
        return "sentence"
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= 16 and len(set(triples)) < len(triples) / 2:
        return "phrase"
    return None


@cache
def _rules(kind: Kind) -> tuple[Rule, ...]:
    data = table("reply.yaml")
    return rules(data[kind], macros=data["macros"])
