"""Who asks whether a person answers is told that none does.

What people ask and what replies say is read by rules on words, English only. A reply that does not
say it is replaced before it leaves, so that no model or approved reply decides whether it is said.
"""

from functools import cache

from rapport.governance.phrases import Rule, met, plain, rules, table
from rapport.governance.replies import fault

TABLE = "disclosure.yaml"


def asks_what_it_is(text: str) -> bool:
    """Whether a message asks if a person answers, or what does. About 20 us a text."""
    spoken = plain(text)
    return any(rule.pattern.search(spoken) for rule in _rules("asks"))


def discloses(reply: str) -> bool:
    """Whether a reply says that no person writes, and nothing to the contrary."""
    return met(plain(reply), _rules("discloses")) is not None and fault(reply).rule != "human"


def disclosure() -> str:
    """What is said in place of a reply that does not disclose."""
    said: str = table(TABLE)["said"]
    return said


@cache
def _rules(kind: str) -> tuple[Rule, ...]:
    data = table(TABLE)
    return rules(data[kind], macros=data["macros"])
