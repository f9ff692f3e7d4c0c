"""Learning a policy: what each learner is measured on, and the choice of its behaviour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rapport.errors import TooLittleDataError
from rapport.evaluation.estimators import dr_terms, logging_terms
from rapport.evaluation.intervals import Bootstrap, Terms, estimate
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import ContextModel, fit_context_model
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import FloatArray
from rapport.policy.policy import ArmScorer
from rapport.policy.reward_model import MIN_ROWS, fit_reward_model

CLIP = 100.0
# Wide on purpose: two calibrated numbers near each other need much sharpening to tell arms apart.
POWERS_NLP: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0)
POWERS_REC: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TEMPERATURES: Sequence[float] = (1.0, 0.5, 0.25, 0.1, 0.05)
FLOORS: Sequence[float] = (0.05, 0.1, 0.2)
_RESAMPLES = 200


@dataclass(frozen=True)
class Bench:
    """What every learner is measured on: the tune users, and a judge that never saw them."""

    train: PolicyDataset
    tune: PolicyDataset
    context: ContextModel
    nlp: FloatArray
    """[N, A] of the tune rows."""
    q_hat: FloatArray
    """[N, A] rewards predicted for the tune rows by a model of the train users."""

    def without_messages(self) -> "Bench":
        """The same without message vectors, which only the context model reads."""
        return replace(self, train=_light(self.train), tune=_light(self.tune))


@dataclass(frozen=True)
class Measured:
    """A learner's policy at its best behaviour, on the tune users."""

    behaviour: Behaviour
    value: float
    """Doubly robust value in reward units a decision."""
    plain: float
    """The same with a = b = 1 at temperature 1: the plain product."""
    logging: float
    """What the logging policy earned on the same rows."""


def prepare(data: PolicyDataset, *, seed: int = 0) -> Bench:
    """Split by user, fit the context model and the judge on the train users.

    Raises:
        TooLittleDataError: Train or tune users reported fewer than 60 rewards.
    """
    train, tune = data.part("train"), data.part("tune")
    tune = tune.rows(tune.reported)
    if len(tune) < MIN_ROWS:
        raise TooLittleDataError("decisions of tune users with a reward", len(tune), MIN_ROWS)
    # One judge for all learners: their values differ by their choices, not by their own optimism.
    judge = fit_reward_model(train, seed=seed)
    context = fit_context_model(train)
    return Bench(
        train=train,
        tune=tune,
        context=context,
        nlp=context.nlp(tune.situation, tune.mask),
        q_hat=judge.q(tune.states, tune.shares),
    )


def measure(bench: Bench, scorer: ArmScorer) -> Measured:
    """Choose a, b and temperature by doubly robust value over a wide grid, then epsilon; about 1 s.

    The value falls with epsilon in a straight line, for what exploring is worth lies in the next
    log. So the largest floor is taken that costs no more than one standard error of the value:
    what this log cannot tell from nothing.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone, CART, 1984.
    """
    rec = scorer.rec(bench.tune.states, bench.tune.mask, bench.tune.shares)

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
        logging=logging_terms(bench.tune.log()).value,
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
    tune = bench.tune
    target = behaviour.probabilities(
        bench.nlp, rec, mask=tune.mask, safe=tune.safe, explore=tune.explore
    )
    return dr_terms(tune.log(), target, bench.q_hat, clip=CLIP)


def _light(data: PolicyDataset) -> PolicyDataset:
    empty = np.zeros((len(data), 0), dtype=np.float32)
    return replace(data, situation=replace(data.situation, message=empty))
