"""RLlib's MARWIL over arms: its learner and loss, a candidate-scoring module, a plain export.

What it is given as a decision's reward is its return already, discounted or not, see
`PolicyDataset.with_returns`: no batch needs a value forwarded through time, so RLlib's own `gamma`
is inert. The learner is driven directly: RLlib's offline pipeline would start a dozen processes to
bring it the arrays that are already here.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, cast

import gymnasium as gym
import numpy as np
import torch
from pydantic import Field
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import nn

from rapport.config import Config
from rapport.errors import TooLittleDataError
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import IntArray, Layout
from rapport.policy.learning import Learning, rounded
from rapport.policy.preference_model import PreferenceModel
from rapport.policy.reward_model import MIN_ROWS

MODULE = "default_policy"
_SIZES = ("hidden", "states", "arms")
_BLOCKED = -1e9
_NORM_RATE = 1e-2  # RLlib's 1e-8 would keep the start value for ever


class MarwilSettings(Config):
    """How MARWIL is trained."""

    learner: Literal["marwil"] = "marwil"
    beta: float = Field(default=1.0, ge=0, le=1)
    """How far good rewards outweigh what was merely done; 0 imitates the log."""
    learning_rate: float = 3e-3
    epochs: int = 8
    hidden: int = 32
    batch: int = 512
    undo: float = Field(default=1.0, ge=0, le=1)
    """Power of 1 / propensity by which rows are drawn: 1 undoes the logging policy's habits."""


class ArmScoringModule(TorchRLModule, ValueFunctionAPI):
    """Scores candidates by a query of the state and a key of the arm; any number of candidates.

    Observations: `state` [S], `arms` [M, A] share of each arm in each candidate, `mask` [M].
    """

    def setup(self) -> None:
        """Build the towers; RLlib calls this once."""
        hidden, width, arms = (int(self.model_config[name]) for name in _SIZES)  # type: ignore[index]
        self.query = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.key = nn.Linear(arms, hidden, bias=False)
        self.value = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def _forward(self, batch: dict[str, Any], **_: object) -> dict[str, torch.Tensor]:
        seen = batch[Columns.OBS]
        score = torch.einsum("bh,bmh->bm", self.query(seen["state"]), self.key(seen["arms"]))
        return {Columns.ACTION_DIST_INPUTS: score.masked_fill(seen["mask"] < 0.5, _BLOCKED)}

    def compute_values(self, batch: dict[str, Any], embeddings: object = None) -> torch.Tensor:
        """[B] expected reward of the states; the advantage is measured from it."""
        del embeddings
        value: torch.Tensor = self.value(batch[Columns.OBS]["state"]).squeeze(-1)
        return value


class RecordedLearner(MARWILTorchLearner):
    """RLlib's learner, which keeps the loss of every minibatch; its own metrics keep the last."""

    def __init__(self, **facts: object) -> None:
        super().__init__(**facts)  # type: ignore[no-untyped-call]
        self.losses: list[float] = []

    def compute_loss_for_module(self, **given: Any) -> torch.Tensor:  # noqa: ANN401  (RLlib's)
        """The loss as RLlib computes it."""
        loss = cast("torch.Tensor", super().compute_loss_for_module(**given))
        self.losses.append(float(loss.detach()))
        return loss


def fit_marwil(
    data: PolicyDataset, settings: MarwilSettings | None = None, *, seed: int = 0
) -> PreferenceModel:
    """Train MARWIL on the rows that reported; about 3 s for 10,000 decisions, in this process.

    Raises:
        TooLittleDataError: Fewer than 60 decisions reported a reward.
    """
    settings = settings or MarwilSettings()
    taken = data.mask[np.arange(len(data)), data.action]
    data = data.rows(data.reported & taken)
    if len(data) < MIN_ROWS:
        raise TooLittleDataError("decisions with a reward", len(data), MIN_ROWS)
    data = data.rows(_redrawn(data, settings, seed=seed))
    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed)
        learner = build_learner(data.layout, settings, variance=float(data.reward.var()))
        learner.update(
            batch=MultiAgentBatch({MODULE: _batch(data)}, len(data)),
            minibatch_size=min(settings.batch, len(data)),
            num_epochs=settings.epochs,
            shuffle_batch_per_epoch=True,
        )
    module: Any = learner.module[MODULE].unwrapped()
    passes = np.array_split(learner.losses, settings.epochs)
    losses = rounded([float(part.mean()) for part in passes if len(part)])
    return replace(export(module, data.layout), learning=Learning("loss", len(data), losses))


def build_learner(layout: Layout, settings: MarwilSettings, *, variance: float) -> RecordedLearner:
    """RLlib's MARWIL learner over the module above.

    Args:
        layout: States and arms.
        settings: Learning rate, beta and size.
        variance: Of the rewards. The advantage's normaliser starts here: RLlib's start of 100 is
            far above rewards in [-1, 1] and would flatten all weights to 1.
    """
    width, arms = len(layout.states), len(layout.arms)
    observation = gym.spaces.Dict(
        state=gym.spaces.Box(-np.inf, np.inf, (width,), np.float32),
        arms=gym.spaces.Box(0.0, 1.0, (arms, arms), np.float32),
        mask=gym.spaces.Box(0.0, 1.0, (arms,), np.float32),
    )
    action: gym.spaces.Discrete[np.int64] = gym.spaces.Discrete(arms)
    config = (
        MARWILConfig()  # type: ignore[no-untyped-call]
        .environment(observation_space=observation, action_space=action)
        .env_runners(num_env_runners=0)
        .learners(num_learners=0, learner_class=RecordedLearner)
        .training(
            gamma=0.0,  # inert: returns come whole
            lr=settings.learning_rate,
            beta=settings.beta,
            train_batch_size_per_learner=settings.batch,
            moving_average_sqd_adv_norm_start=variance,
            moving_average_sqd_adv_norm_update_rate=_NORM_RATE,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ArmScoringModule,
                model_config=dict(zip(_SIZES, (settings.hidden, width, arms), strict=True)),
            )
        )
    )
    learner = config.build_learner(spaces={MODULE: (observation, action)})
    return cast("RecordedLearner", learner)


def export(module: ArmScoringModule, layout: Layout) -> PreferenceModel:
    """The module's policy as plain arrays: equal scores without RLlib."""
    first, _, last = cast("tuple[nn.Linear, nn.ReLU, nn.Linear]", tuple(module.query))
    parts = {
        "query_in": first.weight.T,
        "query_in_bias": first.bias,
        "query_out": last.weight.T,
        "query_out_bias": last.bias,
        "key": module.key.weight.T,
    }
    arrays = {
        name: np.ascontiguousarray(value.detach().numpy().astype(np.float32))
        for name, value in parts.items()
    }
    return PreferenceModel(layout, arrays)


def _redrawn(data: PolicyDataset, settings: MarwilSettings, *, seed: int) -> IntArray:
    weight = data.propensity**-settings.undo
    generator = np.random.default_rng(seed)
    return generator.choice(len(data), size=len(data), p=weight / weight.sum())


def _batch(data: PolicyDataset) -> SampleBatch:
    arms = len(data.layout.arms)
    shares = torch.eye(arms).expand(len(data), arms, arms)
    if data.shares is not None:
        shares = torch.from_numpy(data.shares)
    return SampleBatch(  # type: ignore[no-untyped-call]
        {
            # float32 throughout: RLlib does not cast observations to its weights' type.
            Columns.OBS: {
                "state": torch.from_numpy(data.states),
                "arms": shares.contiguous(),
                "mask": torch.from_numpy(data.mask.astype(np.float32)),
            },
            Columns.ACTIONS: torch.from_numpy(data.action),
            Columns.VALUE_TARGETS: torch.from_numpy(data.reward.astype(np.float32)),
        }
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """RLlib warns of its own deprecated calls; they are not ours to change."""
    logger = logging.getLogger("ray._common.deprecation")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
