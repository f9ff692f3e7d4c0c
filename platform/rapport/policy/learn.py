"""Learning a policy: what each learner is measured on, and the choice of its behaviour."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rapport.errors import TooLittleDataError
from rapport.evaluation.estimators import dr_terms, logging_terms
from rapport.evaluation.intervals import Bootstrap, Terms, estimate
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import FloatArray
from rapport.policy.policy import ArmScorer
from rapport.policy.reward_model import FOLDS, MIN_ROWS, fit_reward_model, fold_of

CLIP = 100.0
# Wide on purpose: two calibrated numbers near each other need much sharpening to tell arms apart.
POWERS_NLP: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0)
POWERS_REC: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TEMPERATURES: Sequence[float] = (1.0, 0.5, 0.25, 0.1, 0.05)
FLOORS: Sequence[float] = (0.05, 0.1, 0.2)
_RESAMPLES = 200


@dataclass(frozen=True)
class Bench:
    """What every learner is measured on: known users, each foretold by models blind to them."""

    data: PolicyDataset
    """Of train and tune users: N rows that reported."""
    nlp: FloatArray
    """[N, A] by context models that never saw the row's user."""
    q_hat: FloatArray
    """[N, A] expected rewards, by networks that never saw the row's user: the judge."""

    def blind_rec(self, fit: Callable[[PolicyDataset], ArmScorer]) -> FloatArray:
        """[N, A] scores by what is fitted to the users of the other folds."""
        fold, rec = fold_of(self.data.user), np.empty(self.data.mask.shape)
        for each in range(FOLDS):
            asked = self.data.rows(fold == each)
            scorer = fit(self.data.rows(fold != each))
            rec[fold == each] = scorer.rec(asked.states, asked.mask, asked.shares)
        return rec

    def without_messages(self) -> "Bench":
        """The same without message vectors, which only the context model reads."""
        return replace(self, data=_light(self.data))


@dataclass(frozen=True)
class Measured:
    """A learner's policy at its best behaviour, on users its models never saw."""

    behaviour: Behaviour
    value: float
    """Doubly robust value in reward units a decision."""
    plain: float
    """The same with a = b = 1 at temperature 1: the plain product."""
    logging: float
    """What the logging policy earned on the same rows."""


def prepare(data: PolicyDataset, *, seed: int = 0) -> Bench:
    """Fit the judge and the context models, both blind to the users they are asked about.

    Raises:
        TooLittleDataError: Without some third of the train and tune users, fewer than 60 rewards
            are left.
    """
    known = data.part("train", "tune")
    known = known.rows(known.reported)
    fold, nlp = fold_of(known.user), np.empty(known.mask.shape)
    least = len(known) - int(np.bincount(fold, minlength=FOLDS).max())
    if least < MIN_ROWS:
        raise TooLittleDataError(
            "decisions with a reward, any third of the users left out", least, MIN_ROWS
        )
    for each in range(FOLDS):
        asked = fold == each
        context = fit_context_model(known.rows(~asked))
        nlp[asked] = context.nlp(known.situation.rows(asked), known.mask[asked])
    # One judge for all learners: their values differ by their choices, not by their own optimism.
    judge = fit_reward_model(known, seed=seed)
    return Bench(known, nlp, judge.q_held_out(known))


def measure(bench: Bench, rec: FloatArray) -> Measured:
    """Choose a, b and temperature by doubly robust value over a wide grid, then epsilon; about 1 s.

    The value falls with epsilon in a straight line, for what exploring is worth lies in the next
    log. So the largest floor is taken that costs no more than one standard error of the value:
    what this log cannot tell from nothing.

    Args:
        bench: Rows and their judge.
        rec: [N, A] in (0, 1], by models that never saw the row's user.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone, CART, 1984.
    """

    def value(behaviour: Behaviour) -> float:
        return _terms(bench, behaviour, rec=rec).value

    sharp = max(behaviours(), key=value)
    stderr = estimate(_terms(bench, sharp, rec=rec), Bootstrap(_RESAMPLES)).stderr
    floors = [replace(sharp, epsilon=epsilon) for epsilon in FLOORS]
    best = max(
        (each for each in floors if value(each) >= value(sharp) - stderr),
        key=lambda each: each.epsilon,
    )
    return Measured(
        behaviour=best,
        value=value(best),
        plain=value(Behaviour(epsilon=best.epsilon)),
        logging=logging_terms(bench.data.log()).value,
    )


def behaviours() -> Iterator[Behaviour]:
    """The grid without repetitions (only a / T and b / T matter), gentler ones first."""
    seen = set()
    for temperature, a, b in product(TEMPERATURES, POWERS_NLP, POWERS_REC):
        key = (round(a / temperature, 9), round(b / temperature, 9))
        if key not in seen:
            seen.add(key)
            yield Behaviour(a, b, temperature, epsilon=FLOORS[0])


def _terms(bench: Bench, behaviour: Behaviour, *, rec: FloatArray) -> Terms:
    data = bench.data
    target = behaviour.probabilities(
        bench.nlp, rec, mask=data.mask, safe=data.safe, explore=data.explore
    )
    return dr_terms(data.log(), target, bench.q_hat, clip=CLIP)


def _light(data: PolicyDataset) -> PolicyDataset:
    empty = np.zeros((len(data), 0), dtype=np.float32)
    return replace(data, situation=replace(data.situation, message=empty))
