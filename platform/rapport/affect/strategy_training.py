"""Train the predictor of the next strategy on dialogues whose replies name theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rapport.affect.choice import accuracy, macro_f1, prior_shift
from rapport.affect.encoders import Encoder
from rapport.affect.held_out import HeldOut, folds_of, row_hash, splits, tempered
from rapport.affect.next_strategy import Conversation, NextStrategyScorer, courses_of, pooled
from rapport.affect.peers import peer_probability
from rapport.affect.preference import preference_bias
from rapport.affect.strategy import StrategyScorer
from rapport.errors import TooLittleDataError

if TYPE_CHECKING:
    from rapport.affect.recurrent import Course, Weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LEAST_DIALOGUES = 50
_MEMBERS = 2
"""Networks, of different seeds, whose probabilities are averaged."""
_MOST_BIAS = 0.45
"""The shift is chosen on training folds below this preference bias, so that .5 holds elsewhere."""
_EXCESS_COST = 10.0
_PEER_INVERSE_L2 = 1.0
_TURNS_A_UNIT = 30.0


@dataclass(frozen=True)
class Talk:
    """A dialogue whose replies say which strategy they are (`arm`)."""

    name: str
    messages: Conversation


def train_next_strategy(
    talks: Sequence[Talk],
    arms: Sequence[str],
    encoder: Encoder,
    *,
    facts: Mapping[str, Any],
    seed: int = 0,
) -> tuple[NextStrategyScorer, HeldOut]:
    """Train on every dialogue, and say what would have been chosen for each by the others alone.

    Five folds, dealt by dialogue. About four minutes for 1,000 dialogues on one core.

    Args:
        talks: Dialogues.
        arms: The K strategies.
        encoder: Of the texts.
        facts: Licence and sources, kept beside the weights.
        seed: Deals the folds and seeds the networks.

    Raises:
        TooLittleDataError: Fewer than 50 dialogues.
    """
    if len(talks) < LEAST_DIALOGUES:
        raise TooLittleDataError("dialogues with strategies", len(talks), LEAST_DIALOGUES)
    courses = courses_of([talk.messages for talk in talks], arms, encoder)
    rows = _rows(courses, kinds=len(arms), seed=seed)
    logs = _unseen(courses, rows, kinds=len(arms), seed=seed)
    said = [talks[talk].messages[turn] for talk, turn in rows.places]
    texts = [message["content"] for message in said]
    scorer = NextStrategyScorer(
        arms=tuple(arms),
        members=tuple(_members(courses, kinds=len(arms), seed=seed)),
        factor=tempered(logs, rows.truth),
        shift=_shift(logs, rows.truth),
        replies=StrategyScorer.fit(
            texts, [message["arm"] for message in said], encoder.encode(texts), seed=seed
        ),
        encoder=encoder,
        facts={**facts, "dialogues": len(talks), "replies": len(said), "seed": seed},
    )
    peer = _peer([talk.messages for talk in talks], rows, arms)
    return scorer, _held_out(rows, logs, peer, names=[talk.name for talk in talks])


@dataclass(frozen=True)
class _Rows:
    """The N replies of all dialogues."""

    places: Sequence[tuple[int, int]]
    """Dialogue and turn of each."""
    group: IntArray
    truth: IntArray
    fold: IntArray


def _rows(courses: Sequence["Course"], *, kinds: int, seed: int) -> _Rows:
    places = [
        (row, int(turn))
        for row, course in enumerate(courses)
        for turn in np.flatnonzero(course.kinds < kinds)
    ]
    group = np.array([row for row, _ in places])
    truth = np.array([courses[row].kinds[turn] for row, turn in places])
    return _Rows(places, group, truth, folds_of(group, seed=seed))


def _members(courses: Sequence["Course"], *, kinds: int, seed: int) -> list["Weights"]:
    from rapport.affect.recurrent import fit_recurrent  # noqa: PLC0415  (imports torch)

    return [fit_recurrent(courses, kinds=kinds, seed=seed + place) for place in range(_MEMBERS)]


def _unseen(courses: Sequence["Course"], rows: _Rows, *, kinds: int, seed: int) -> FloatArray:
    """Log probabilities [N, K] of every reply, by networks that did not see its dialogue."""
    from rapport.affect.recurrent import recurrent_scores  # noqa: PLC0415

    logs = np.zeros((len(rows.truth), kinds))
    for train, test in splits(rows.fold):
        members = _members(
            [courses[talk] for talk in np.unique(rows.group[train])], kinds=kinds, seed=seed
        )
        talks = np.unique(rows.group[test])
        told = [
            np.concatenate(
                [
                    scores[np.flatnonzero(courses[talk].kinds < kinds)]
                    for talk, scores in zip(
                        talks,
                        recurrent_scores(one, [courses[talk] for talk in talks], kinds=kinds),
                        strict=True,
                    )
                ]
            )
            for one in members
        ]
        logs[test] = pooled(told)  # both go by dialogue, and by turn within it
    return logs


def _shift(logs: FloatArray, truth: IntArray) -> FloatArray:
    return prior_shift(logs, truth, worth=_worth)


def _worth(tables: FloatArray) -> FloatArray:
    """Accuracy and macro F1 together, less what the choices are biased beyond the limit."""
    excess = np.maximum(preference_bias(tables) - _MOST_BIAS, 0)
    return accuracy(tables) + macro_f1(tables) - _EXCESS_COST * excess


def _held_out(rows: _Rows, logs: FloatArray, peer: FloatArray, *, names: Sequence[str]) -> HeldOut:
    """Choices and calibrated probabilities, tuned on the other folds."""
    probability, chosen, taken = np.zeros_like(logs), rows.truth * 0, rows.truth * 0
    for rest, test in splits(rows.fold):
        shift = _shift(logs[rest], rows.truth[rest])
        factor = tempered(logs[rest], rows.truth[rest])
        probability[test] = softmax(factor * logs[test], axis=1)
        chosen[test] = (logs[test] - shift).argmax(axis=1)
        taken[test] = (peer[test] - shift).argmax(axis=1)
    return HeldOut(
        rows=np.array([row_hash(names[talk], str(turn)) for talk, turn in rows.places], np.uint64),
        groups=rows.group,
        truth=rows.truth[:, None],
        probability=probability[:, None],
        chosen=chosen[:, None],
        peer=taken[:, None],
    )


def _peer(talks: Sequence[Conversation], rows: _Rows, arms: Sequence[str]) -> FloatArray:
    """Log probabilities [N, K] of TF-IDF and logistic regression, which see the same past.

    That is the last three messages, the last two replies, the strategies of the last three, and
    how far the dialogue is.
    """
    asked, answered, beside = [], [], np.zeros((len(rows.places), 3 * len(arms) + 1))
    for row, (talk, turn) in enumerate(rows.places):
        before = talks[talk][:turn]
        told = {
            role: [said for said in before if said["role"] == role]
            for role in ("user", "assistant")
        }
        asked.append(" ".join(said["content"] for said in told["user"][-3:]))
        answered.append(" ".join(said["content"] for said in told["assistant"][-2:]))
        for place, said in enumerate(told["assistant"][:-4:-1]):
            if said.get("arm") in arms:
                beside[row, place * len(arms) + arms.index(said["arm"])] = 1.0
        beside[row, -1] = turn / _TURNS_A_UNIT
    probability = peer_probability(
        [asked, answered],
        rows.truth,
        rows.fold,
        kinds=len(arms),
        beside=beside,
        inverse_l2=_PEER_INVERSE_L2,
    )
    return np.log(np.maximum(probability, 1e-12))
