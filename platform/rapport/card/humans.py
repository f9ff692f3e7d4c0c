"""How often people who support others have the defects that replies are looked at for."""

from pathlib import Path

import numpy as np

from rapport.card.defects import DEFECTS, defects
from rapport.evaluation.intervals import Terms, estimates
from rapport.language.prompts import Message
from rapport.measuring.dialogues import Case, read_dialogues, replies_in
from rapport.measuring.result import Measure

EARLY = 3
"""Messages of the person up to which a reply is an early one, as all replies of the card are."""
_ALL = 1_000_000
_SECRET = b"nothing is kept of these users: the key only has to be one"


def human_defects(path: Path) -> dict[str, Measure]:
    """Share of supporters' early replies with each defect, 95 % interval over seekers.

    Measured on every other dialogue; `MOST_WORDS` was read on the rest.

    Args:
        path: ESConv, as `rapport ingest esconv` takes it, or a turns table.

    Raises:
        ConfigError: It is neither, or cannot be read.
        TooLittleDataError: It holds no reply, or all of one person.
    """
    cases = [case for case in _cases(path, part=1) if len(_asked(case.messages)) <= EARLY]
    found = [defects(case.reply, case.messages) for case in cases]
    user, ones = np.array([case.user for case in cases]), np.ones(len(cases))
    shares = [
        Terms(np.array([[float(each[name]) for each in found]]), ones[None], user, ones)
        for name in DEFECTS
    ]
    return {
        name: Measure(one.value, one.low, one.high, one.n)
        for name, one in zip(DEFECTS, estimates(shares), strict=True)
    }


def usual_words(path: Path) -> float:
    """Words that 95 of 100 replies do not exceed, on the dialogues that nothing is measured on."""
    words = [len(case.reply.split()) for case in _cases(path, part=0)]
    return float(np.quantile(words, 0.95))


def _cases(path: Path, *, part: int) -> list[Case]:
    """Replies of every other seeker, with the whole dialogue before each."""
    spoken = read_dialogues(path, tenant="default", secret=_SECRET)
    users = sorted(spoken.turns["user_id"].unique().to_list())
    return replies_in(spoken, without=users[1 - part :: 2], limit=_ALL, history=_ALL, seed=0)


def _asked(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message["role"] == "user"]
