import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import ConfigError
from rapport.evaluation.influence import equal_mean, restrained, robust_mean, user_means
from tests.statistics.report import say

USERS, SHARE = 400, 0.01


def honest(seed: int, *, spread: float, lean: float = 0.15):
    """Rewards of users whose own means are normal, some with a hundred times the rows of others.

    Those of few rows add their noise: means spread by about .25 where people themselves by .2.
    """
    rng = np.random.default_rng(seed)
    rows = np.maximum(rng.pareto(1.2, USERS) * 5, 1).clip(max=500).astype(int)
    user = np.repeat(np.arange(USERS), rows)
    own = rng.normal(lean, spread, USERS)
    return np.clip(own[user] + rng.normal(0, 0.3, len(user)), -1, 1), user


def colluded(value, user, *, towards: float):
    """1 % of users, those that were furthest from it, say one thing in 2,000 rows each."""
    order = np.argsort(user_means(value, user) * towards)[: int(SHARE * USERS)]
    stay = ~np.isin(user, order)
    loud = np.repeat(order, 2000)
    return np.r_[value[stay], np.full(len(loud), towards)], np.r_[user[stay], loud]


@pytest.mark.parametrize("towards", [-1.0, 1.0])
@pytest.mark.parametrize("spread", [0.1, 0.15, 0.2])
def test_one_percent_of_colluding_users_hardly_move_an_estimate(spread, towards):
    rows, equal, robust = [], [], []
    for seed in range(20):
        before = honest(seed, spread=spread)
        after = colluded(*before, towards=towards)
        rows.append(abs(after[0].mean() - before[0].mean()))
        equal.append(abs(equal_mean(*after) - equal_mean(*before)))
        robust.append(abs(robust_mean(*after) - robust_mean(*before)))
    assert max(equal) <= 0.02 + 1e-12
    assert max(robust) <= 0.01
    assert min(rows) > 0.2  # what a plain mean over rows would have done


def median_of(value, user):
    return float(np.median(user_means(value, user)))


def moved_by_collusion(mean, *, spread, seeds=40):
    moved = []
    for seed in range(seeds):
        before = honest(seed, spread=spread)
        sides = (colluded(*before, towards=towards) for towards in (-1.0, 1.0))
        moved += [abs(mean(*after) - mean(*before)) for after in sides]
    return np.array(moved)


def test_where_people_differ_by_three_tenths_one_percent_move_it_by_a_hundredth_on_average():
    robust, median = (moved_by_collusion(each, spread=0.3) for each in (robust_mean, median_of))
    say(
        f"1 % colluding where people's own means spread by .3, of {len(robust)}: robust mean "
        f"{robust.mean():.4f}, {robust.max():.4f} at most; median {median.mean():.4f}, "
        f"{median.max():.4f} at most"
    )
    assert robust.mean() <= 0.01
    assert robust.max() <= 0.011
    assert median.max() > 0.011  # the least possible bias on average, and yet not in each log


def test_where_honest_people_have_one_long_tail_it_is_off_by_less_than_the_median():
    rng, users = np.random.default_rng(3), np.arange(USERS)
    told = [np.clip(0.4 - rng.exponential(0.25, USERS), -1, 1) for _ in range(20)]
    robust, median = (
        float(np.mean([mean(each, users) - equal_mean(each, users) for each in told]))
        for mean in (robust_mean, median_of)
    )
    say(f"one long tail, deviation .25: robust mean {robust:+.3f} off, median {median:+.3f}")
    assert 0 < robust < 0.75 * median


@given(st.lists(st.floats(-1, 1), min_size=100, max_size=100), st.sampled_from([-1.0, 1.0]))
def test_whatever_people_say_one_percent_moves_the_equal_mean_by_two_percent_at_most(own, towards):
    users = np.arange(100)
    value = np.array(own)
    worst = int(np.argmin(value * towards))
    said = np.r_[np.delete(value, worst), np.full(50, towards)]
    after = equal_mean(said, np.r_[np.delete(users, worst), np.full(50, worst)])
    assert abs(after - equal_mean(value, users)) <= 0.02 + 1e-12


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_without_collusion_both_tell_the_same(spread):
    gaps = [
        robust_mean(*told) - equal_mean(*told)
        for told in (honest(seed, spread=spread) for seed in range(20))
    ]
    # Four standard errors; the robust one loses 10 % of the precision, so they differ by little.
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(20) + 0.005


def test_by_hand():
    value = np.array([1.0, 0.0, np.nan, -0.5, 0.5, 0.5])
    user = np.array(["a", "a", "a", "b", "c", "c"])
    assert user_means(value, user).tolist() == [0.5, -0.5, 0.5]
    assert equal_mean(value, user) == pytest.approx(1 / 6)
    assert robust_mean(value, user) == 0.5  # the middle half does not differ at all
    assert np.isnan(equal_mean(np.array([np.nan]), np.array([1])))
    assert np.isnan(robust_mean(np.zeros(0), np.zeros(0)))


@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=60),
    st.floats(1.0, 5.0) | st.just(np.inf),
)
def test_no_user_weighs_more_than_so_many_times_the_average(rows, most):
    user = np.random.default_rng(0).permutation(np.repeat(np.arange(len(rows)), rows))
    weight = np.linspace(0.5, 2.0, len(user))
    held = restrained(weight, user, most=most)
    total = np.bincount(user, weights=held)
    assert total.max() <= most * total.mean() * (1 + 1e-9)
    assert (held <= weight).all()
    assert restrained(held, user, most=most) is held
    # Only those at the cap were lowered, and each of their rows alike.
    lowered = total < np.bincount(user, weights=weight) * (1 - 1e-9)
    assert np.allclose(total[lowered], total.max())
    assert np.allclose(held[~lowered[user]], weight[~lowered[user]])


def test_weights_by_hand():
    user = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2])
    ones = np.ones(9)
    # Each once: as much as the user of one row. Twice: c = 2 (1 + 2 + c) / 3 has no solution
    # below 6, so that user keeps his 6 rows.
    assert np.bincount(user, weights=restrained(ones, user, most=1.0)) == pytest.approx([1, 1, 1])
    assert restrained(ones, user, most=2.0) is ones
    # c = 1.5 (1 + 2 + c) / 3 gives 3.
    held = np.bincount(user, weights=restrained(ones, user, most=1.5))
    assert held.tolist() == pytest.approx([1, 2, 3])
    with pytest.raises(ConfigError, match="user_cap"):
        restrained(ones, user, most=0.5)
    assert len(restrained(np.zeros(0), np.zeros(0, dtype=int))) == 0
