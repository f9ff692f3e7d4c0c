"""Does a reply give the right answer, a wrong one, or none?

Free text is read by words: the right answer or the wrong one stands in it, as a whole word, and is
neither denied nor put in somebody's mouth. What says both in one breath, or neither, is no answer.
"""

import re
from collections.abc import Sequence
from typing import Literal

Reading = Literal["right", "wrong", "none"]

_TOKEN = re.compile(r"[^\W_]+(?:[.'][^\W_]+)*")
_CLAUSE = re.compile(r"[.!?;:,\n](?=\s|$)|\b(?:but|however|although|though|while|whereas)\b")
_ARTICLES = {"a", "an", "the"}
_UP_TO_19 = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_WHOLE_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES = {name: number for number, name in enumerate(_UP_TO_19.split())}
_TENS = {name: 10 * ten for ten, name in enumerate(_WHOLE_TENS.split(), 2)}
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|rather than|instead of)(?: (?!it's|it|this|that)\S+){0,3} $"
)
_DENIED_AFTER = re.compile(
    r"^ (?:is|are|was|would be|isn't|as)?(?: (?:actually|a common|just|indeed|really|also))?"
    r" ?(?:wrong|incorrect|false|untrue|mistaken|not (?:right|correct|true|it|the)|myth|mistake"
    r"|misconception)\b"
)
_SOMEBODYS = re.compile(
    r"\b(?:you|people|many|some|they|others|everyone)(?: \S+)? (?:think|thinks|thought|believe"
    r"|believes|believed|said|say|says|assume|told|mentioned|suggested)\b"
)


def read_answer(reply: str, *, right: Sequence[str], wrong: Sequence[str]) -> Reading:
    """What a reply in free text answers.

    The last clause that gives one answer and not the other decides: people correct themselves and
    others at the end. English only.

    Args:
        reply: The whole reply.
        right: Ways to say the right answer.
        wrong: Ways to say a wrong one.
    """
    found: Reading = "none"
    for clause in _clauses(reply):
        says_right, says_wrong = _says(clause, right), _says(clause, wrong)
        if says_right != says_wrong:
            found = "right" if says_right else "wrong"
    return found


def _clauses(text: str) -> list[str]:
    """Clauses as words with single spaces, each with one before and one behind."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("\u2019", "'").lower())
    parts = [_normal(part) for part in _CLAUSE.split(text)]
    return [f" {part} " for part in parts if part]


def _normal(text: str) -> str:
    """Words without articles, numbers in digits."""
    words: list[str] = []
    tens: int | None = None
    for word in _TOKEN.findall(text.replace("-", " ").lower()):
        if word in _ARTICLES:
            continue
        if tens is not None and 0 < _ONES.get(word, 0) < 10:
            words[-1] = str(tens + _ONES[word])
            tens = None
            continue
        tens = _TENS.get(word)
        number = _ONES.get(word, tens)
        words.append(word if number is None else str(number))
    return " ".join(words).replace("1 hundred", "100").replace("1 thousand", "1000")


def _says(clause: str, answers: Sequence[str]) -> bool:
    return any(_asserts(clause, _normal(answer)) for answer in answers)


def _asserts(clause: str, answer: str) -> bool:
    for match in re.finditer(rf"(?<= ){re.escape(answer)}(?:s|es)?(?= )", clause):
        before, after = clause[: match.start()], clause[match.end() :]
        denied = _DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after.rstrip())
        if not denied and not _SOMEBODYS.search(before):
            return True
    return False
