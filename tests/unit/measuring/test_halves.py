import numpy as np
import polars as pl
import pytest

from rapport.affect.reward import REWARD
from rapport.measuring.halves import cross_fitted, grid
from rapport.measuring.ranks import spearman

N, SETTINGS = 400, 60


def a_trial(*, true: float, seed: int = 0):
    """Outcomes of N dialogues, a quarter of them failed, and rewards of many settings.

    The first setting follows relief by `true`, the others are chance.
    """
    rng = np.random.default_rng(seed)
    relief = rng.normal(size=N)
    rewards = rng.normal(size=(N, SETTINGS))
    rewards[:, 0] += true * relief
    ids = [f"talk-{place:03}" for place in range(N)]
    outcomes = pl.DataFrame({"conversation_id": ids, "failed": relief < -0.7, "relief": relief})
    table = pl.DataFrame(rewards, [f"setting-{place}" for place in range(SETTINGS)])
    return outcomes, table.insert_column(0, pl.Series("conversation_id", ids))


def test_the_shipped_settings_are_among_those_to_choose_from():
    assert (REWARD.curve, REWARD.sentiment_scale) in grid()
    assert len(set(grid())) == len(grid()) > 100


def test_settings_that_won_by_chance_are_worth_nothing_on_the_other_half():
    best, crossed = [], []
    for seed in range(4):
        outcomes, rewards = a_trial(true=0.0, seed=seed)
        relief = outcomes["relief"].to_numpy()
        best.append(
            max(spearman(each, relief) for each in rewards.to_numpy()[:, 1:].T.astype(float))
        )
        crossed.append(
            cross_fitted(outcomes, {"": rewards}, draws=2)["rho_relief_cross_fitted"].estimate
        )
    assert min(best) > 0.1  # what choosing and measuring on the same dialogues claims
    # Four standard errors of the mean of four trials.
    assert abs(np.mean(crossed)) < 4 / np.sqrt(4 * N)


def test_settings_that_are_worth_something_stay_so_and_silence_is_left_out():
    outcomes, rewards = a_trial(true=1.0)
    silent = rewards.filter(pl.int_range(pl.len()) % 10 != 0)
    found = cross_fitted(outcomes, {"": rewards, "_without_thanks": silent}, draws=40)
    rho = found["rho_relief_cross_fitted"]
    truly = spearman(rewards["setting-0"].to_numpy(), outcomes["relief"].to_numpy())
    assert rho.estimate == pytest.approx(truly, abs=0.03)
    assert rho.low is not None
    assert 0 < rho.low < rho.estimate
    assert set(found) == {
        f"{name}_cross_fitted"
        for name in (
            "rho_relief",
            "rho_relief_retained",
            "auc_success",
            "auc_success_without_thanks",
        )
    }
    assert found["auc_success_without_thanks_cross_fitted"].estimate > 0.7
