"""How supporters chose: an estimate of the propensities that a log of people does not hold.

A multinomial logistic regression of the strategy of a supporter's run on what was known before it:
where in the dialogue, the run before, the emotion, problem and experience that the seeker named,
and hashed words of the seeker's last message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FLOOR = 0.01
"""Least probability of any arm, hence weights of at most 100."""
FOLDS = 5
MIN_RUNS = 200
"""With fewer runs to fit on, the estimate is the smoothed frequency of each arm."""
_REGULARISATION = 0.1  # least held-out log loss of .1, .3, 1, 3 on ESConv
_WORDS, _FACTS = 2**11, 2**10
_LAST_POSITION = 12

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Choice:
    """One run of a supporter and what was known before it."""

    dialogue_id: str
    position: int
    """Supporter's runs before this one."""
    previous: str
    """Arm of the one just before; empty for the first."""
    message: str
    """The seeker's last message; empty when the supporter began."""
    types: Mapping[str, str]
    arm: int
    """Index of the arm taken."""
    fit: bool
    """Whether a model may learn from it."""


def propensities(choices: Sequence[Choice], *, arms: int) -> FloatArray:
    """Probability [R, A] of every arm in each of R runs, at least `FLOOR`; rows sum to 1.

    Cross-fitted: the model behind a row has seen no run of that row's dialogue. Rows that are not
    to be learned from are judged by a model of all the others. Two seconds for 12,000 runs.
    """
    if not choices:
        return np.zeros((0, arms))
    features = _features(choices)
    taken = np.array([choice.arm for choice in choices])
    fold = np.array([_fold(choice) for choice in choices])
    result = np.zeros((len(choices), arms))
    for held_out in np.unique(fold):
        rows, seen = fold == held_out, (fold != held_out) & (fold >= 0)
        result[rows] = _predicted(features, taken, seen=seen, rows=rows, arms=arms)
    floored = FLOOR + (1 - arms * FLOOR) * result
    return np.asarray(floored / floored.sum(axis=1, keepdims=True))


def log_loss(probabilities: FloatArray, taken: IntArray) -> float:
    """Mean negative log-probability, in nats, of the arms [R] that were taken."""
    return float(-np.log(probabilities[np.arange(len(taken)), taken]).mean())


def frequencies(taken: IntArray, arms: int) -> FloatArray:
    """Share [A] of each arm among R runs, one more counted of each."""
    counts = np.bincount(taken, minlength=arms) + 1.0
    return np.asarray(counts / counts.sum())


def _predicted(
    features: sparse.csr_matrix, taken: IntArray, *, seen: BoolArray, rows: BoolArray, arms: int
) -> FloatArray:
    learned = taken[seen]
    if len(learned) < MIN_RUNS or len(np.unique(learned)) < 2:
        return np.tile(frequencies(learned, arms), (int(rows.sum()), 1))
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (seconds to import)

    model = LogisticRegression(C=_REGULARISATION, max_iter=300, tol=1e-3)
    model.fit(features[seen], learned)
    result = np.zeros((int(rows.sum()), arms))
    result[:, model.classes_] = model.predict_proba(features[rows])
    return result


def _features(choices: Sequence[Choice]) -> sparse.csr_matrix:
    from sklearn.feature_extraction import FeatureHasher  # noqa: PLC0415  (seconds to import)
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    words = HashingVectorizer(n_features=_WORDS, alternate_sign=False)
    facts = FeatureHasher(n_features=_FACTS, input_type="string", alternate_sign=False)
    return sparse.hstack(
        [
            words.transform([choice.message for choice in choices]),
            facts.transform([_facts(choice) for choice in choices]),
        ],
        format="csr",
    )


def _facts(choice: Choice) -> list[str]:
    named = [f"{kind}={label}" for kind, label in choice.types.items()]
    position = min(choice.position, _LAST_POSITION)
    return [*named, f"position={position}", f"previous={choice.previous}"]


def _fold(choice: Choice) -> int:
    """Fold of a dialogue, by its id so that the order of a file does not matter; -1 outside."""
    return int(choice.dialogue_id.replace("-", "")[-8:], 16) % FOLDS if choice.fit else -1
