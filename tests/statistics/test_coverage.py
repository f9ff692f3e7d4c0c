"""How often 95 % intervals hold the truth, over 1,000 seeded logs each; run by `poe proof`.

The tolerance is the claim itself: 93 to 97 %. A method right at 95 % leaves it by chance in .4 % of
cases (a standard error of .69 % over 1,000 logs).
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from rapport.evaluation.anytime import gap_sequence, mean_sequence
from rapport.evaluation.concentration import Range, empirical_bernstein, student_t, trimmed
from rapport.evaluation.cross_fitting import cross_fitted, ridge
from rapport.evaluation.doubts import doubts
from rapport.evaluation.episodes import Episodes, per_decision_dr_terms, per_decision_terms
from rapport.evaluation.estimators import Crossing, Log
from rapport.evaluation.intervals import Bootstrap, Estimate, Terms, estimates
from rapport.evaluation.marginal import by_arm, marginalised
from rapport.evaluation.valuation import valuation
from tests.statistics.report import say

LOGS = 1000
ARMS = 4
SLOPES = np.array([[0.25, 0.1], [0.0, -0.2], [-0.1, 0.2], [0.1, 0.0]])
RESAMPLES = 400

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class World:
    """Where logs come from: users of a taste of their own, a context of two numbers a decision."""

    users: int
    rows_each: int
    user_spread: float = 0.0
    sharpness: float = 0.0
    """How far the log's policy leans to what the target avoids; 2 makes its weights heavy."""

    def log(self, rng: np.random.Generator) -> Crossing:
        """A log crossed with the target and a cross-fitted model."""
        n = self.users * self.rows_each
        user, context = np.repeat(np.arange(self.users), self.rows_each), rng.normal(size=(n, 2))
        logging = chances(-self.sharpness * context)
        action = drawn(logging, rng)
        taste = self.user_spread * rng.normal(size=self.users)[user]
        mean = expected(context)[np.arange(n), action] + taste
        reward = np.where(rng.random(n) < (1 + np.clip(mean, -1, 1)) / 2, 1.0, -1.0)
        log = Log(action, reward, logging[np.arange(n), action], user, probabilities=logging)
        return Crossing(log, chances(context), cross_fitted(log, context, ridge(arms=ARMS)))

    def truth(self) -> float:
        """Value of the target, by two million draws: a standard error of .0003."""
        rng = np.random.default_rng(123)
        context = rng.normal(size=(2_000_000, 2))
        taste = self.user_spread * rng.normal(size=len(context))[:, None]
        clipped = np.clip(expected(context) + taste, -1, 1)
        return float((chances(context) * clipped).sum(axis=1).mean())


def chances(context: np.ndarray) -> np.ndarray:
    score = np.exp(context @ (3 * SLOPES.T))
    return np.asarray(score / score.sum(axis=1, keepdims=True))


def drawn(chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray((chance.cumsum(axis=1) > rng.random((len(chance), 1))).argmax(axis=1))


def expected(context: np.ndarray) -> np.ndarray:
    return np.asarray(0.1 + np.tanh(context @ SLOPES.T))


def every(crossing: Crossing) -> dict[str, Terms]:
    """The estimators that no cut biases."""
    return {
        "ips": crossing.ips(),
        "snips": crossing.snips(),
        "dr": crossing.dr(),
        "sndr": crossing.sndr(),
    }


def intervals(terms: dict[str, Terms], seed: int) -> dict[str, Estimate]:
    """Of each, by bootstrap and by Student's t."""
    found = dict(
        zip(terms, estimates(list(terms.values()), Bootstrap(RESAMPLES, seed)), strict=True)
    )
    return found | {f"{name}, student": student_t(each) for name, each in terms.items()}


@dataclass
class Tally:
    """How many intervals held the truth, by name."""

    truth: float
    hits: Counter[str] = field(default_factory=Counter)

    def take(self, found: dict[str, Estimate]) -> None:
        for name, each in found.items():
            self.hits[name] += int(each.low <= self.truth <= each.high)

    def shares(self, what: str) -> dict[str, float]:
        found = {name: count / LOGS for name, count in self.hits.items()}
        for name, share in found.items():
            say(f"{what}: {name} covers {share:.1%}")
        return found


WORLDS = {
    "users once": World(users=1000, rows_each=1),
    "users who repeat": World(users=250, rows_each=4, user_spread=0.3),
    "skewed weights": World(users=1000, rows_each=4, user_spread=0.2, sharpness=0.9),
}


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_cover_the_truth_as_often_as_they_say(name):
    world, rng = WORLDS[name], np.random.default_rng(1)
    tally, doubted = Tally(world.truth()), 0
    for seed in range(LOGS):
        crossing = world.log(rng)
        doubted += bool(doubts(crossing.weight, crossing.log.user))
        tally.take(intervals(every(crossing), seed))
    shares = tally.shares(name)
    say(f"{name}: {doubted / LOGS:.1%} of logs are doubted")
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


def test_intervals_of_what_a_cut_makes_steady_and_wrong_cover_by_reaching_to_what_it_does_not():
    world, rng = WORLDS["users once"], np.random.default_rng(1)
    tally, bare = Tally(world.truth()), Tally(world.truth())
    for seed in range(LOGS):
        crossing = world.log(rng)
        by = Bootstrap(RESAMPLES, seed)
        found = valuation(crossing.log, crossing.target, crossing.q_hat, by=by)
        cut = {name: found.estimates["observed"][name] for name in ("clipped", "dm", "switch_dr")}
        tally.take(cut)
        bare.take({"dm": student_t(crossing.direct())})
    shares = tally.shares("users once")
    # A linear model of a bent reward: what leans on it alone is wrong by more than its spread.
    assert bare.shares("users once, spread alone")["dm"] < 0.93
    assert all(share >= 0.93 for share in shares.values()), shares


def test_under_heavy_weights_no_sampled_interval_holds_and_the_diagnostics_say_so():
    world, rng = World(users=1000, rows_each=2, sharpness=3.0), np.random.default_rng(1)
    tally, doubted = Tally(world.truth()), 0
    for seed in range(LOGS):
        crossing = world.log(rng)
        doubted += bool(doubts(crossing.weight, crossing.log.user))
        found = {"trimmed": trimmed(crossing.log, crossing.target, clip=20.0)}
        tally.take(found | intervals({"ips": crossing.ips(), "snips": crossing.snips()}, seed))
    shares = tally.shares("heavy weights")
    say(f"heavy weights: {doubted / LOGS:.1%} of logs are doubted")
    assert shares["ips"] < 0.93
    assert shares["trimmed"] >= 0.95
    assert doubted / LOGS > 0.95


def test_bounds_for_any_sample_size_cover_at_least_as_often_as_they_say():
    world, rng = World(users=300, rows_each=3, user_spread=0.3), np.random.default_rng(1)
    tally = Tally(world.truth())
    for _ in range(LOGS):
        crossing = world.log(rng)
        # Four arms dealt evenly: no weight is above 4.
        exact = empirical_bernstein(crossing.ips(), Range(-4.0 - 1e-9, 4.0 + 1e-9))
        tally.take({"empirical bernstein": exact})
    log = world.log(rng).log
    assert log.propensity.min() >= 0.25 - 1e-12
    assert all(share >= 0.95 for share in tally.shares("300 users").values())


def test_marginalised_over_arms_intervals_cover_the_value_of_another_generator():
    # Each arm has three replies in the log and five others in the new generator; a reply acts on
    # the reward through its arm. Of the replies' own weights nothing could be said.
    rng, n, arm = np.random.default_rng(2), 1500, np.repeat(np.arange(ARMS), 3)
    new_arm = np.repeat(np.arange(ARMS), 5)
    truth_context = rng.normal(size=(2_000_000, 2))
    arms = chances(truth_context)
    tally = Tally(float((arms * expected(truth_context).clip(-1, 1)).sum(axis=1).mean()))
    for seed in range(LOGS):
        context = rng.normal(size=(n, 2))
        within = rng.dirichlet(np.ones(3), size=(n, ARMS))
        replies = (chances(-0.3 * context)[:, :, None] * within).reshape(n, -1)
        action = drawn(replies, rng)
        mean = expected(context)[np.arange(n), arm[action]].clip(-1, 1)
        reward = np.where(rng.random(n) < (1 + mean) / 2, 1.0, -1.0)
        given = replies[np.arange(n), action]
        log = Log(action, reward, given, np.arange(n) // 2, probabilities=replies)
        renewed = rng.dirichlet(np.ones(5), size=(n, ARMS))
        target = by_arm((chances(context)[:, :, None] * renewed).reshape(n, -1), new_arm, arms=ARMS)
        by_arms = marginalised(log, arm, arms=ARMS)
        q_hat = cross_fitted(by_arms, context, ridge(arms=ARMS))
        crossing = Crossing(by_arms, target / target.sum(axis=1, keepdims=True), q_hat)
        terms = {"mips": crossing.ips(), "snmips": crossing.snips(), "mdr": crossing.dr()}
        tally.take(intervals(terms, seed))
    shares = tally.shares("another generator")
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


def test_intervals_of_episodes_cover_their_value():
    rng = np.random.default_rng(3)
    tally = Tally(float(_played(rng, 400_000, _preferring(0.6))[2].sum(axis=1).mean()))
    for seed in range(LOGS):
        states, actions, rewards = _played(rng, 600, _preferring(0.4))
        flat = np.arange(600).repeat(STEPS), np.tile(np.arange(STEPS), 600)
        state, action = states.ravel(), actions.ravel()
        logging, target = _preferring(0.4)[state], _preferring(0.6)[state]
        given = logging[np.arange(len(action)), action]
        log = Log(action, rewards.ravel(), given, flat[0] // 2, probabilities=logging)
        episodes = Episodes(log, *flat)
        ahead = (STEPS - flat[1]) * 0.1
        terms = {
            "per decision": per_decision_terms(episodes, target),
            "per decision, normalised": per_decision_terms(episodes, target, self_normalised=True),
            "per decision dr": per_decision_dr_terms(
                episodes, target, np.stack([ahead, ahead + 0.1], axis=1)
            ),
        }
        tally.take(intervals(terms, seed))
    shares = tally.shares("episodes")
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


STEPS = 4


def _preferring(share: float) -> np.ndarray:
    """[S, A] a policy that in state 0 takes action 1 with probability `share`, in 1 action 0."""
    return np.array([[1 - share, share], [share, 1 - share]])


def _played(rng: np.random.Generator, n: int, policy: np.ndarray) -> tuple[np.ndarray, ...]:
    """[n, STEPS] states, actions, rewards; action 1 makes state 1 likelier, where 0 pays."""
    state, columns = np.zeros(n, dtype=np.intp), []
    for _ in range(STEPS):
        action = drawn(policy[state], rng)
        reward = rng.normal(0.2 * (state != action), 0.3, size=n)
        columns.append((state, action, reward))
        state = (rng.random(n) < 0.2 + 0.5 * action).astype(np.intp)
    return tuple(np.stack(each, axis=1) for each in zip(*columns, strict=True))


def test_sequences_hold_at_every_look_where_a_daily_interval_does_not():
    rng, users, days = np.random.default_rng(4), 4000, np.arange(100, 4001, 100)
    gaps = means = daily = 0
    for _ in range(LOGS):
        treated = rng.random(users) < 0.2
        value = rng.beta(0.6, 0.5, size=users) * 2 - 1
        truth = 2 * 0.6 / 1.1 - 1
        found = gap_sequence(value, treated, share=0.2)
        gaps += bool((found.low <= 0).all() and (found.high >= 0).all())
        found = mean_sequence(value)
        means += bool((found.low <= truth).all() and (found.high >= truth).all())
        running = value.cumsum()[days - 1] / days
        spread = np.array([value[:day].std() for day in days]) / np.sqrt(days)
        daily += bool((np.abs(running - truth) <= 1.96 * spread).all())
    say(f"gap sequences hold throughout in {gaps / LOGS:.1%} of canaries, means {means / LOGS:.1%}")
    say(f"a 95 % interval looked at 40 times holds throughout in {daily / LOGS:.1%}")
    assert gaps / LOGS >= 0.95
    assert means / LOGS >= 0.95
    assert daily / LOGS < 0.85
