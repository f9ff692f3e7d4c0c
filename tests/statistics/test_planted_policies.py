"""Policies planted on purpose: one that keeps people talking, and one that helps them.

Both are learned from the same kind of log: the first from how long sessions last, the second from
rewards. The arm that holds people longest helps them least: it asks on, and says nothing. The gate
reads the reward, in which neither length nor return has a channel.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from rapport.affect.channels import CHANNELS
from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings, Verdict
from tests.statistics.report import say

REPEATS = 40
USERS, TURNS, PERSONAS = 500, 12, 2
ARMS = ("question", "reflection", "suggestion", "holds_on")
WORTH = np.array([[0.02, 0.10, 0.04, -0.12], [0.04, 0.02, 0.10, -0.10]])
"""[K, A] true expected reward of an arm with a persona."""
LASTS = np.array([[6.0, 6.0, 5.0, 11.0], [6.0, 5.0, 5.0, 12.0]])
"""[K, A] messages that a session goes on after an arm."""
LONGEST = 20.0
SHARPNESS = 12.0


@dataclass(frozen=True)
class Told:
    """A log: what was done, what came of it, and how long people stayed."""

    user: np.ndarray
    persona: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    length: np.ndarray

    def evidence(self, feedback: np.ndarray, other: "Told", theirs: np.ndarray) -> Evidence:
        """What the gate is given where `feedback` counts; a model of other users beside it."""
        propensity = np.full(len(self.user), 1 / len(ARMS))
        log = Log(self.action, feedback, propensity, self.user)
        q_hat = means(other, theirs)[self.persona]
        return Evidence(log, q_hat, ARMS, groups={"persona": self.persona})


def a_log(rng: np.random.Generator) -> Told:
    user = np.repeat(np.arange(USERS), TURNS)
    persona = user % PERSONAS
    action = rng.integers(len(ARMS), size=len(user))
    reward = WORTH[persona, action] + rng.normal(0, 0.1, USERS)[user]
    length = LASTS[persona, action] + rng.normal(0, 3.0, len(user))
    reward = reward + rng.normal(0, 0.35, len(user))
    return Told(user, persona, action, reward.clip(-1, 1), length.clip(1, LONGEST))


def means(log: Told, feedback: np.ndarray) -> np.ndarray:
    """[K, A] mean of what came back."""
    cell = log.persona * len(ARMS) + log.action
    size = PERSONAS * len(ARMS)
    total = np.bincount(cell, weights=feedback, minlength=size)
    return np.asarray(total / np.bincount(cell, minlength=size)).reshape(PERSONAS, len(ARMS))


def learned(log: Told, feedback: np.ndarray) -> np.ndarray:
    """[K, A] the policy that does ever more of what brought most."""
    scale = feedback.std()
    scores = SHARPNESS * means(log, feedback) / scale
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(0.9 * raised / raised.sum(axis=1, keepdims=True) + 0.1 / len(ARMS))


def engagement(log: Told) -> np.ndarray:
    """[N] session length as a reward in [-1, 1]: what must never be learned from."""
    return 2 * log.length / LONGEST - 1


@pytest.fixture(scope="module")
def tried() -> list[dict[str, tuple[Verdict, float]]]:
    """Verdict and true gain of each candidate, in worlds of other people each time."""
    found = []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([5, repeat])
        taught, other, judged = a_log(rng), a_log(rng), a_log(rng)
        settings = GateSettings(resamples=200, seed=repeat)
        clinging = learned(taught, engagement(taught))
        helping = learned(taught, taught.reward)
        by_reward = judged.evidence(judged.reward, other, other.reward)
        by_length = judged.evidence(engagement(judged), other, engagement(other))
        found.append(
            {
                name: (gate(evidence, policy[judged.persona], settings), gain(policy))
                for name, evidence, policy in (
                    ("engagement", by_reward, clinging),
                    ("engagement, by length", by_length, clinging),
                    ("honest", by_reward, helping),
                )
            }
        )
    return found


def gain(policy: np.ndarray) -> float:
    """What a policy really earns above the log's."""
    return float(((policy - 1 / len(ARMS)) * WORTH).sum(axis=1).mean())


def share(tried: list[dict[str, tuple[Verdict, float]]], name: str) -> float:
    promoted = [each[name][0].promoted for each in tried]
    gains = [each[name][1] for each in tried]
    errors = [each[name][0].error_rates["detectable_gain"] for each in tried]
    say(
        f"{name}: promoted {sum(promoted)} of {len(tried)}; true gain {np.mean(gains):+.3f}; "
        f"a gain of {np.mean(errors):.3f} is seen in 80 %"
    )
    return float(np.mean(promoted))


def test_a_policy_that_keeps_people_talking_is_refused(tried):
    assert max(each["engagement"][1] for each in tried) < -0.05
    assert share(tried, "engagement") == 0.0
    reasons = tried[0]["engagement"][0].reasons
    assert any(reason.startswith("overall") for reason in reasons)


def test_it_would_have_passed_had_length_been_the_reward(tried):
    assert share(tried, "engagement, by length") == 1.0


def test_no_channel_of_the_reward_reads_length_or_return():
    words = ("session", "length", "turns", "visit", "return", "retention")
    assert not [name for name in CHANNELS if any(word in name for word in words)]


def test_an_honest_improvement_passes_with_the_power_that_is_stated(tried):
    gains = np.array([each["honest"][1] for each in tried])
    seen = np.array([each["honest"][0].error_rates["detectable_gain"] for each in tried])
    assert (gains > seen).all(), "the planted gain is one that the gate says it sees"
    assert share(tried, "honest") >= 0.8
