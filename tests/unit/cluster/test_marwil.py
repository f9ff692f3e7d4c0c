from typing import Any

import numpy as np
import pytest
import torch

from rapport.cluster.marwil import (
    MODULE,
    MarwilSettings,
    build_learner,
    export,
    fit_marwil,
)
from rapport.errors import TooLittleDataError
from rapport.policy.features import states
from tests.unit.policy.worlds import LAYOUT, a_situation, a_world


def scored(module, state, mask):
    identity = torch.eye(len(LAYOUT.arms)).expand(len(state), -1, -1)
    seen = {
        "state": torch.from_numpy(state),
        "arms": identity,
        "mask": torch.from_numpy(mask.astype(np.float32)),
    }
    with torch.no_grad():
        return module.forward_inference({"obs": seen})["action_dist_inputs"].numpy()


def test_the_export_scores_as_rllibs_module_does():
    learner: Any = build_learner(LAYOUT, MarwilSettings(), variance=0.1)
    module = learner.module[MODULE].unwrapped()
    situation = a_situation(n=16)
    state, mask = states(LAYOUT, situation), LAYOUT.served(situation.agent)
    theirs, ours = scored(module, state, mask), export(module, LAYOUT).scores(state)
    assert np.abs(theirs - ours)[mask].max() < 1e-5
    assert np.all(theirs[~mask] < -1e8)


def test_it_is_rllibs_marwil_with_a_normaliser_that_fits_the_rewards():
    learner: Any = build_learner(LAYOUT, MarwilSettings(beta=0.7), variance=0.09)
    assert [kind.__name__ for kind in type(learner).__mro__[1:3]] == [
        "MARWILTorchLearner",
        "MARWILLearner",
    ]
    assert learner.config.beta == 0.7
    assert float(learner.moving_avg_sqd_adv_norms_per_module[MODULE]) == pytest.approx(0.09)


def test_marwil_learns_to_prefer_what_personas_like():
    data, expected = a_world(n=4000)
    model = fit_marwil(data, MarwilSettings(epochs=6))
    rec = model.rec(data.states, data.mask)
    best = np.nan_to_num(expected, nan=-9).argmax(axis=1)
    hit = (rec.argmax(axis=1) == best).mean()
    assert hit > 0.8
    assert model.learning is not None
    assert len(model.learning.learned) == 6
    assert model.learning.learned[-1] < model.learning.learned[0]


def test_the_same_seed_gives_the_same_weights():
    data, _ = a_world(n=400)
    first, second = (fit_marwil(data, MarwilSettings(epochs=1), seed=4) for _ in range(2))
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_too_few_rewards_are_refused():
    with pytest.raises(TooLittleDataError):
        fit_marwil(a_world(n=30)[0])
