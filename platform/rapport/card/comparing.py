"""The ladder's numbers: every reply measured, neighbours compared, people resampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rapport.card.defects import DEFECTS, defects
from rapport.card.judges import (
    Empathy,
    FitJudge,
    Judge,
    Preferences,
    agreement,
    defect_judge,
    empathy_judge,
    judged,
)
from rapport.card.lengths import matched, words
from rapport.card.refusing import refuses
from rapport.card.writers import Conversation
from rapport.evaluation.intervals import Terms, estimates
from rapport.measuring.dialogues import Case
from rapport.measuring.replies import loops
from rapport.measuring.result import Group, Measure

FloatArray = NDArray[np.float64]
Pair = tuple[str, str]


class Strategies(Protocol):
    """Recognises kinds of reply, such as `rapport.affect.strategy.StrategyScorer`."""

    @property
    def arms(self) -> Sequence[str]:
        """Those it knows."""

    def predict(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> FloatArray:
        """[N, A] probability of each."""


class NextStrategies(Protocol):
    """Says which kind of reply comes next, such as `rapport.affect.next_strategy` does."""

    def strategies(self, conversations: Sequence[Sequence[Mapping[str, str]]]) -> FloatArray:
        """[N, K] probability of each kind that a supporter would give now."""

    def shown(self, replies: Sequence[str]) -> FloatArray:
        """[N, K] probability of each kind that a reply shows."""


@dataclass(frozen=True)
class Trained:
    """Scorers that a home trained on sets of its own; none of those it did not."""

    empathy: Empathy | None = None
    """EPITOME's."""
    next_strategies: NextStrategies | None = None


UNTRAINED = Trained()


@dataclass(frozen=True)
class Readers:
    """Who reads the replies."""

    fit: FitJudge
    strategies: Strategies
    trained: Trained = UNTRAINED

    @property
    def judges(self) -> dict[str, Judge]:
        """The blind judges by name."""
        found: dict[str, Judge] = {"fit": self.fit, "defects": defect_judge(_count)}
        empathy = self.trained.empathy
        return found | ({"empathy": empathy_judge(empathy)} if empathy else {})


def of_rung(cases: Sequence[Case], replies: Sequence[str], readers: Readers) -> Group:
    """What N replies are like: `words`, `refusals`, `loops`, each defect, `fit`, and more.

    `fit` is the chance, from even odds, that a reply was written for its message; `strategy` the
    probability that it shows the kind of reply the person gave, where the log names that. By
    scorers trained in this home: `strategy_fit` the probability that it shows the kind that a
    supporter would give, `empathy` the sum of EPITOME's expected levels, 0 to 6, whatever its
    length.
    """
    told: list[Conversation] = [case.messages for case in cases]
    found = [defects(reply, case.messages) for reply, case in zip(replies, cases, strict=True)]
    values = {
        "words": np.array([words(reply) for reply in replies], dtype=np.float64),
        "refusals": _shares([refuses(reply) for reply in replies]),
        "loops": _shares([loops(reply) for reply in replies]),
        **{name: _shares([each[name] for each in found]) for name in DEFECTS},
        "fit": readers.fit.chance(told, replies),
    }
    if (empathy := readers.trained.empathy) is not None:
        levels = empathy.levels([_last(each) for each in told], replies)
        values["empathy"] = levels.sum(axis=1)
    if (coming := readers.trained.next_strategies) is not None:
        said = [[{"role": m["role"], "content": m["content"]} for m in each] for each in told]
        values["strategy_fit"] = (coming.strategies(said) * coming.shown(replies)).sum(axis=1)
    values |= _strategy(cases, replies, readers)
    return Group(measures(values, _users(cases)))


def of_pair(
    cases: Sequence[Case], upper: Sequence[str], lower: Sequence[str], readers: Readers
) -> Group:
    """What the upper replies have over the lower ones, to the same N messages.

    `preferred_by_<judge>` is the share of messages at which the blind judge prefers the upper one,
    ties half; `swayed_<judge>` the share at which the order changed its mind; `agreement` how often
    the first two judges that decide agree. `empathy` is a difference of replies of equal length.
    """
    told: list[Conversation] = [case.messages for case in cases]
    said = {name: judged(each, told, lower, upper) for name, each in readers.judges.items()}
    values = {f"preferred_by_{name}": each.won for name, each in said.items()}
    values["fit"] = readers.fit.chance(told, upper) - readers.fit.chance(told, lower)
    if (empathy := readers.trained.empathy) is not None:
        one, other = matched(lower, upper)
        posts = [_last(each) for each in told]
        gained = empathy.levels(posts, other) - empathy.levels(posts, one)
        values["empathy"] = gained.sum(axis=1)
    found = dict(measures(values, _users(cases)))
    swayed = {f"swayed_{name}": _alone(each.swayed, len(cases)) for name, each in said.items()}
    return Group({**found, **swayed, **_agreements(said)})


def measures(values: Mapping[str, FloatArray], user: NDArray[np.str_]) -> dict[str, Measure]:
    """Means of values [N], nan left out, with 95 % intervals over people; none of nothing."""
    known = {name: ~np.isnan(each) for name, each in values.items()}
    kept = {name: each[known[name]] for name, each in values.items() if known[name].any()}
    terms = {
        name: Terms(each[None], np.ones((1, len(each))), user[known[name]], np.ones(len(each)))
        for name, each in kept.items()
    }
    sure = {name: each for name, each in terms.items() if len(np.unique(each.user)) > 1}
    found = estimates(list(sure.values())) if sure else []
    ends = {name: (one.low, one.high) for name, one in zip(sure, found, strict=True)}
    measured = {}
    for name, each in terms.items():
        low, high = ends.get(name, (None, None))
        measured[name] = Measure(each.value, low, high, len(each.weight))
    return measured


def _strategy(
    cases: Sequence[Case], replies: Sequence[str], readers: Readers
) -> dict[str, FloatArray]:
    arms = readers.strategies.arms
    place = [arms.index(case.arm.name) if case.arm and case.arm.name in arms else -1
             for case in cases]  # fmt: skip
    shown = readers.strategies.predict(list(replies), readers.fit.encoder.encode(list(replies)))
    told = [row[at] if at >= 0 else np.nan for row, at in zip(shown, place, strict=True)]
    return {"strategy": np.array(told, dtype=np.float64)}


def _agreements(said: Mapping[str, Preferences]) -> dict[str, Measure]:
    names = list(said)
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    found = {}
    for one, other in pairs:
        share = agreement(said[one], said[other])
        decided = int(((said[one].won != 0.5) & (said[other].won != 0.5)).sum())
        if share is not None:
            found[f"agreement_{one}_{other}"] = _alone(share, decided)
    return found


def _alone(value: float, n: int) -> Measure:
    return Measure(value, None, None, n)


def _shares(values: Sequence[bool]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _count(reply: str, conversation: Conversation) -> int:
    found = defects(reply, conversation)
    return sum(found.values()) + refuses(reply) + loops(reply)


def _users(cases: Sequence[Case]) -> NDArray[np.str_]:
    return np.array([case.user for case in cases])


def _last(conversation: Conversation) -> str:
    return conversation[-1]["content"]
