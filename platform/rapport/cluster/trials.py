"""One trial of the search: a learner's settings, what they are worth, and how to train by them."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from rapport.cluster.marwil import MarwilSettings, fit_marwil
from rapport.errors import ConfigError
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import FloatArray
from rapport.policy.learn import Bench, measure
from rapport.policy.policy import ArmScorer, Policy
from rapport.policy.reward_model import TARGETS, RewardSettings, fit_reward_model

LearnerSettings = RewardSettings | MarwilSettings
_Settings = Annotated[LearnerSettings, Field(discriminator="learner")]
_SETTINGS: TypeAdapter[LearnerSettings] = TypeAdapter(_Settings)


@dataclass(frozen=True)
class Recipe:
    """What it takes to train a policy again without a search."""

    settings: _Settings
    behaviour: Behaviour

    @classmethod
    def of(cls, policy: Policy) -> "Recipe":
        """The recipe a saved policy was trained with."""
        return cls(_SETTINGS.validate_python(policy.recipe), policy.behaviour)

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> "Recipe":
        """A recipe back from `to_json`.

        Raises:
            ConfigError: It names no learner's settings or no behaviour.
        """
        try:
            return _RECIPE.validate_python(stated)
        except ValidationError as error:
            first = error.errors()[0]
            setting = ".".join(["recipe", *map(str, first["loc"])])
            raise ConfigError(setting, first["input"], first["msg"]) from error

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON types."""
        return {"settings": self.settings.model_dump(), "behaviour": asdict(self.behaviour)}


_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


@dataclass(frozen=True)
class Trial:
    """One learner with its settings, measured on users that its models never saw."""

    settings: LearnerSettings
    behaviour: Behaviour
    value: float
    """Doubly robust value in reward units a decision, at `behaviour`."""
    plain: float
    """The same with a = b = 1 at temperature 1."""
    logging: float
    """What the logging policy earned there."""
    seconds: float


def retrain(data: PolicyDataset, recipe: Recipe, *, seed: int = 0) -> Policy:
    """Train a policy by a known recipe on train and tune users, without a search or Ray.

    About 10 s for 20,000 decisions on one core.
    """
    known = data.part("train", "tune")
    return Policy(
        layout=data.layout,
        behaviour=recipe.behaviour,
        learner=recipe.settings.learner,
        context=fit_context_model(known),
        scorer=_fit(known, recipe.settings, seed=seed),
        recipe=recipe.settings.model_dump(),
    )


def propose(trials: int, *, seed: int) -> list[LearnerSettings]:
    """Settings to try: the defaults of both learners, then random ones, learners in turn."""
    generator = np.random.default_rng(seed)
    proposed: list[LearnerSettings] = [RewardSettings(), MarwilSettings()]
    while len(proposed) < trials:
        rate = float(10 ** generator.uniform(-3.0, -1.8))
        if len(proposed) % 2 == 0:
            proposed.append(
                RewardSettings(
                    learning_rate=rate,
                    weight_decay=float(10 ** generator.uniform(-3.0, -0.5)),
                    epochs=int(generator.integers(5, 21)),
                    target=TARGETS[generator.integers(len(TARGETS))],
                )
            )
        else:
            proposed.append(
                MarwilSettings(
                    learning_rate=rate,
                    beta=float(generator.uniform(0.3, 1.0)),
                    epochs=int(generator.integers(5, 21)),
                    undo=float(generator.choice((0.5, 1.0))),
                )
            )
    return proposed[: max(trials, 1)]


def run_trial(bench: Bench, settings: LearnerSettings, *, seed: int) -> Trial:
    """Fit on two thirds of the users, measure on the rest, in turn; 2-5 s for 20,000 decisions."""
    started = time.monotonic()
    measured = measure(bench, _blind_rec(bench, settings, seed=seed))
    return Trial(settings, seconds=time.monotonic() - started, **vars(measured))


def to_json(trial: Trial) -> dict[str, Any]:
    """A trial as plain JSON types."""
    return {
        **vars(trial),
        "settings": trial.settings.model_dump(),
        "behaviour": asdict(trial.behaviour),
    }


def from_json(entry: Mapping[str, Any]) -> Trial:
    """A trial back from `to_json`."""
    return Trial(
        **{
            **entry,
            "settings": _SETTINGS.validate_python(entry["settings"]),
            "behaviour": Behaviour(**entry["behaviour"]),
        }
    )


def _blind_rec(bench: Bench, settings: LearnerSettings, *, seed: int) -> FloatArray:
    if isinstance(settings, RewardSettings):  # blind by its own make: fitted once
        return fit_reward_model(bench.data, settings, seed=seed).rec_held_out(bench.data)
    return bench.blind_rec(lambda data: fit_marwil(data, settings, seed=seed))


def _fit(data: PolicyDataset, settings: LearnerSettings, *, seed: int) -> ArmScorer:
    if isinstance(settings, RewardSettings):
        return fit_reward_model(data, settings, seed=seed)
    return fit_marwil(data, settings, seed=seed)
