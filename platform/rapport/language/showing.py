"""Does the arm show in the text? Replies written under every arm, and how many are recognised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.arms import Menu
from rapport.errors import DataError
from rapport.language.engine import Engine, GenerationRequest, complete
from rapport.language.prompts import Message, build
from rapport.language.sampling import Sampling

TIMES_CHANCE = 2.0
"""An arm shows when its replies are recognised at least this many times as often as by chance."""
_QUANTILE = 1.959964  # of the normal distribution, two-sided 95 %


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of recognised replies with its 95 % interval."""

    n: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Showing:
    """What was recognised of one agent's arms."""

    chance: float
    overall: Share
    arms: dict[str, Share]

    @property
    def shown(self) -> tuple[str, ...]:
        """Arms recognised at twice chance or better, and beyond doubt better than chance."""
        return tuple(
            name
            for name, found in self.arms.items()
            if found.share >= TIMES_CHANCE * self.chance and found.low > self.chance
        )


@dataclass(frozen=True)
class Context:
    """A conversation to answer and the adapter to answer it with."""

    messages: Sequence[Message]
    adapter: str | None


@dataclass(frozen=True)
class WrittenReplies:
    """N replies and the arm each was to show."""

    arms: list[str]
    texts: list[str]


def write_replies(
    engine: Engine, menu: Menu, contexts: Sequence[Context], *, n: int, seed: int
) -> WrittenReplies:
    """Write `n` replies under the served arms in turn, contexts in turn, as serving would.

    Args:
        engine: Nobody else may be using it.
        menu: Whose served arms are tried.
        contexts: At least one.
        n: Replies in all.
        seed: The i-th reply's draws come from `seed + i`.
    """
    arms = [menu.served[i % len(menu.served)] for i in range(n)]
    # A round of all arms shares one context, so that no arm has the easier ones.
    places = [(i // len(menu.served)) % len(contexts) for i in range(n)]
    requests = [
        GenerationRequest(
            request_id=f"showing-{i}",
            messages=build(contexts[place].messages, arm=arm),
            adapter=contexts[place].adapter,
            sampling=Sampling(seed=seed + i),
        )
        for i, (arm, place) in enumerate(zip(arms, places, strict=True))
    ]
    texts = [completion.text for completion in complete(engine, requests)]
    return WrittenReplies([arm.name for arm in arms], texts)


def judge(
    written: Sequence[str], probabilities: NDArray[np.floating], arms: Sequence[str]
) -> Showing:
    """How many replies a scorer gives to the arm they were written under.

    Args:
        written: N arms that the replies were to show.
        probabilities: [N, A] from a strategy scorer that learnt from other users than the adapters.
        arms: A names of the columns: the agent's served arms. Chance is 1 / A.

    Raises:
        DataError: A written arm has no column.
    """
    unknown = set(written) - set(arms)
    if unknown:
        raise DataError(
            f"arm {min(unknown)!r} is not scored", "score the arms of this agent's menu"
        )
    right = np.array(arms)[probabilities.argmax(axis=1)] == np.array(written)
    return Showing(
        chance=1 / len(arms),
        overall=recovered(int(right.sum()), len(right)),
        arms={
            arm: recovered(int(right[[w == arm for w in written]].sum()), list(written).count(arm))
            for arm in arms
        },
    )


def recovered(right: int, n: int) -> Share:
    """A share `right / n` with Wilson's 95 % interval; 0 of 0 is 0 in [0, 1].

    Source: Wilson, JASA 1927.
    """
    if n == 0:
        return Share(n=0, share=0.0, low=0.0, high=1.0)
    share, square = right / n, _QUANTILE**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _QUANTILE * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    # At 0 and n of n an end is the share itself, but for rounding.
    return Share(n=n, share=share, low=min(low, share), high=max(high, share))
