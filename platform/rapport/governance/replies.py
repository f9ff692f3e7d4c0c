"""What may not leave as a reply: harm, abuse, private data, repetition, guilt, false humanity."""

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

_WORST: tuple[Kind, ...] = ("harmful_instruction", "abuse")
_SAYS = (
    r"sa(?:id|ys?|ying)|t(?:old|ells?|elling)|call(?:s|ed|ing)?|wrote|writes?|shout(?:s|ed|ing)?"
    r"|yell(?:s|ed|ing)?|scream(?:s|ed|ing)?|claim(?:s|ed)?|insult(?:s|ed)?|hear(?:s|d|ing)?"
)
_HOLDS = (
    r"thinks?|thinking|thought|feels?|feeling|felt|believ(?:e|es|ed|ing)|afraid|fear(?:s|ed)?"
    r"|worr(?:y|ies|ied)|convinced|sounds? (?:like|as)|seems? (?:like|as)|as (?:if|though)|if|when"
    r"|whether|message|words?|voice"
)
_TOLD = re.compile(rf"\b(?:{_SAYS}|{_HOLDS})(?:[ \"]+[\w']+){{0,6}}[ \"]*$")
_SAID = re.compile(rf"\b(?:{_SAYS})(?: (?:you|them|him|her|me))?[,:]? ?\"?$")
_OWN = re.compile(
    r"\b(?:i|we)(?:'ve|'d| (?:have|had|just|already|really|do|honestly|also|always|would|can|must"
    r"|will))* (?:say|said|tell|told|think|thought|believed?|feel|felt|wrote|called?)\b"
    r"|\b(?:believe|trust|hear|let) me\b"
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|no longer|nobody|without|stop|instead of)|n't)(?: \S+){0,3} ?$"
)
_WHY = re.compile(r"\bwhy (?:do not|not|(?:do|should|have|did|ca|would)n't)\b")


def fault(text: str) -> Verdict:
    """The worst thing wrong with a reply, `safe` when nothing is. About 0.5 ms a reply."""
    spoken = plain(text)
    words = _WORD.findall(spoken)
    if not words:
        return Verdict("empty", "no_words")
    for worst in _WORST:
        rule = _said(spoken, kind=worst)
        if rule:
            return Verdict(worst, rule)
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
    return next(
        (
            rule.name
            for rule in _rules(kind)
            for match in rule.pattern.finditer(spoken)
            if not (rule.deniable and _is_told(spoken[: match.start()]))
        ),
        None,
    )


def _is_told(before: str) -> bool:
    """Whether a reply only reports, asks or denies what it says.

    What somebody else said, thinks or feels is no word of the reply's own; what the reply says
    that it thinks itself is.
    """
    sentence = re.split(r"[.!?;]", before)[-1]
    clause = re.split(r"[,:\"]| but ", sentence)[-1]
    if not clause.strip():  # it stands by itself, or somebody's words are quoted
        return bool(_SAID.search(sentence.rstrip()))
    told = _TOLD.search(sentence)
    if told and not _OWN.search(sentence) and "because" not in told[0]:
        return True
    return bool(_DENIED.search(clause)) and not _WHY.search(clause)


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
    tables = [table("abuse.yaml"), table("reply.yaml")]
    return tuple(
        rule for data in tables for rule in rules(data.get(kind, ()), macros=data["macros"])
    )
