"""What people do after a reply: rate, read on, click, take a step, stay, or leave in silence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.lexicon import MARKS
from rapport.simulation.minds import HABITS, Minds

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_CLICKABLE = [MARKS.index(mark) for mark in ("suggestion", "information", "escalation")]
_REPORTS_SUCCESS = {"emotional_support": 0.3, "customer_support": 0.8}
_STEPS = {"emotional_support": 0.12, "customer_support": 0.30}

_DWELL_SEEN = 0.75
"""Share of replies whose reading time the client reports."""
_CLICKS = 0.35
_NOTICED = (-0.12, 0.12)
"""Between these a reply was neither good nor bad enough to speak of."""


@dataclass(frozen=True)
class Reactions:
    """What N users did after a reply; NaN where they stayed silent.

    `rating` 1 to 5; `dwell_s` seconds on the reply; `task_success` 0 or 1, at the end only;
    `pause_s` seconds until the next message; `effect` index into the effects a message speaks of.
    """

    rating: FloatArray
    dwell_s: FloatArray
    task_success: FloatArray
    clicked: BoolArray
    stepped: BoolArray
    left_silently: BoolArray
    ended: BoolArray
    pause_s: FloatArray
    effect: IntArray


@dataclass(frozen=True)
class Heard:
    """What N users took from N replies: `felt` satisfaction, `clickable` in [0, 1], `words`."""

    felt: FloatArray
    clickable: FloatArray
    words: IntArray


def clickable(marks: FloatArray) -> FloatArray:
    """How much there is to click [R] in replies of marks [R, M]."""
    return np.asarray(marks[:, _CLICKABLE].max(axis=1))


def respond(
    minds: Minds,
    mood: FloatArray,
    heard: Heard,
    *,
    support: BoolArray,
    rng: np.random.Generator,
) -> Reactions:
    """Draw what N users do after a reply.

    Args:
        minds: The N users.
        mood: [N] after the reply.
        heard: What they took from it.
        support: [N] true for the emotional-support agent.
        rng: Drawn from in a fixed order and amount.
    """
    felt, count = heard.felt, len(minds)
    habit = dict(zip(HABITS, minds.habits.T, strict=True))
    left = rng.random(count) < _sigmoid(-4.0 - 5.0 * felt - 2.0 * mood)
    ended = left | (rng.random(count) < 0.07 + 0.16 * _sigmoid(4.0 * mood))
    rating = _rating(felt, rates=habit["rates"], bias=habit["rating_bias"], rng=rng)
    success = _success(felt, mood=mood, support=support, rng=rng)
    read_s = _reading_time(heard, slow=habit["dwell"], rng=rng)
    effect = felt + rng.normal(0.0, 0.12, count)
    return Reactions(
        # Who leaves in anger tells nobody: silence is an outcome, not a gap in the data.
        rating=np.where(left, np.nan, rating),
        dwell_s=np.where(rng.random(count) < _DWELL_SEEN, read_s, np.nan),
        task_success=np.where(ended & ~left, success, np.nan),
        clicked=rng.random(count) < _CLICKS * heard.clickable * (1.0 + felt),
        stepped=~left & (rng.random(count) < _by_agent(_STEPS, support) * (1.0 + felt)),
        left_silently=left,
        ended=ended,
        pause_s=read_s + np.clip(rng.lognormal(3.0, 0.5, count), 3.0, 300.0),
        effect=np.digitize(effect, _NOTICED).astype(np.int64),
    )


def _rating(
    felt: FloatArray, *, rates: FloatArray, bias: FloatArray, rng: np.random.Generator
) -> FloatArray:
    # The strongly moved rate more often, as people do.
    given = rng.random(len(felt)) < _sigmoid(-0.9 + 1.5 * np.abs(felt) + 0.8 * rates)
    stars = 3.1 + 2.4 * felt + 0.5 * bias + rng.normal(0.0, 0.6, len(felt))
    return np.where(given, np.clip(np.rint(stars), 1.0, 5.0), np.nan)


def _reading_time(heard: Heard, *, slow: FloatArray, rng: np.random.Generator) -> FloatArray:
    # About 170 words a minute on a screen, longer where the reply was welcome.
    plain = 1.0 + 0.35 * heard.words
    factor = np.exp(0.25 * heard.felt + 0.6 * slow + rng.normal(0.0, 0.35, len(plain)))
    return np.asarray(np.clip(plain * factor, 0.5, 120.0))


def _success(
    felt: FloatArray, *, mood: FloatArray, support: BoolArray, rng: np.random.Generator
) -> FloatArray:
    reported = rng.random(len(felt)) < _by_agent(_REPORTS_SUCCESS, support)
    done = rng.random(len(felt)) < _sigmoid(2.0 * felt + 1.5 * mood)
    return np.where(reported, done.astype(np.float64), np.nan)


def _by_agent(values: dict[str, float], support: BoolArray) -> FloatArray:
    return np.where(support, values["emotional_support"], values["customer_support"])


def _sigmoid(value: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-value)))
