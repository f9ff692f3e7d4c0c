"""A second world with other mechanics than the simulator's, written without reading that one.

Nothing is said and no text is made. A user is a point in a space of tastes, near one of four
prototypes, and an arm is a point there too: what lies near pleases, what lies far off bores. What
the moment asks for bends that: each of six needs wants some arms, a user in a bad mood takes advice
for an affront and one in a good mood sympathy for a farce, and what was just done tires. Rewards
are the sum of it with heavy-tailed noise, cut to [-1, 1].

A policy sees a noisy posterior over prototypes that sharpens with the turns, a mood read with an
error, and a message vector in which the need is hidden by a curved map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import EMOTION_GROUPS, Layout, Situation
from rapport.policy.policy import Policy

Array = NDArray[np.float64]
Places = NDArray[np.intp]

PROTOTYPES, DIMENSIONS, NEEDS, MESSAGE, TURNS = 4, 5, 6, 32, 10
AGENT = "emotional_support"
_PUSHING = ("suggestion", "information", "clarify")
_TENDER = ("reflection", "affirmation", "normalising")
_NOISE = stats.t(df=3, scale=0.25)


@dataclass(frozen=True)
class Temper:
    """How hard a world is."""

    taste: float = 0.35
    """Height of what taste adds for an arm at the user's own point."""
    blur: float = 0.8
    """Error of the first reading of a user's point; it falls with the root of the turns."""
    spread: float = 0.45
    """Distance of users from their prototype, in each dimension."""


class World:
    """Fixed points, needs and maps; `log` draws users and what they live through in it."""

    def __init__(self, temper: Temper | None = None, *, seed: int = 0) -> None:
        rng = np.random.default_rng((seed, 2))
        self.temper = temper or Temper()
        self.layout = Layout.of([f"prototype-{i}" for i in range(PROTOTYPES)])
        self.arms = np.flatnonzero(self.layout.served(self.layout.agent_index([AGENT]))[0])
        # Corners of a cross are equally far from each other, whatever the seed.
        self._prototypes = 1.4 * np.eye(PROTOTYPES, DIMENSIONS)
        near = rng.integers(PROTOTYPES, size=len(self.arms))
        near[:PROTOTYPES] = rng.permutation(PROTOTYPES)  # everybody has something near
        rng.shuffle(near)
        self._points = self._prototypes[near] + rng.normal(0, 0.5, (len(self.arms), DIMENSIONS))
        self._wants = 0.2 * rng.normal(size=(NEEDS, len(self.arms)))
        self._map = rng.normal(size=(NEEDS + 3, MESSAGE)), rng.normal(size=(MESSAGE, MESSAGE))
        names = np.array(self.layout.arms)[self.arms]
        self._pushing, self._tender = np.isin(names, _PUSHING), np.isin(names, _TENDER)
        self._habit = rng.normal(0, 0.6, len(self.arms))

    def log(self, decisions: int, *, seed: int) -> "Lived":
        """Decisions of users of ten turns each, under a logging policy with habits of its own."""
        rng = np.random.default_rng((seed, 3))
        users = -(-decisions // TURNS)
        kind = rng.integers(PROTOTYPES, size=users)
        point = self._prototypes[kind] + rng.normal(0, self.temper.spread, (users, DIMENSIONS))
        previous = np.full(users, -1)
        mood = rng.normal(0, 0.4, users)
        turns = []
        for turn in range(TURNS):
            mood = np.clip(0.7 * mood + rng.normal(0, 0.3, users), -1, 1)
            need = rng.integers(NEEDS, size=users)
            expected = self._expected(point, need, mood, previous)
            chance = self._logging(rng, users)
            taken = (chance.cumsum(axis=1) > rng.random((users, 1))).argmax(axis=1)
            felt = expected[np.arange(users), taken] + _NOISE.rvs(users, random_state=rng)
            situation = self._seen(rng, point, need, mood, previous, turn)
            turns.append((situation, expected, chance, taken, np.clip(felt, -1, 1), kind))
            previous = taken
        return self._lived(turns, users, decisions)

    def _expected(self, point: Array, need: Places, mood: Array, previous: Places) -> Array:
        """[N, M] what is felt on average before noise and cut."""
        distance = np.linalg.norm(point[:, None] - self._points, axis=2)
        taste = self.temper.taste * (1.6 * np.exp(-((distance / 1.1) ** 2)) - 0.4)
        bad, good = (mood < -0.3)[:, None], (mood > 0.4)[:, None]
        moody = -0.3 * bad * self._pushing - 0.2 * good * self._tender
        again = previous[:, None] == np.arange(len(self.arms))
        tired = -0.15 * again * (previous >= 0)[:, None]
        return np.asarray(taste + self._wants[need] + moody + tired + 0.1 * mood[:, None])

    def _logging(self, rng: np.random.Generator, users: int) -> Array:
        leaning = self._habit + rng.normal(0, 0.3, (users, len(self.arms)))
        raised = np.exp(leaning)
        return np.asarray(0.8 * raised / raised.sum(axis=1, keepdims=True) + 0.2 / len(self.arms))

    def _seen(
        self,
        rng: np.random.Generator,
        point: Array,
        need: Places,
        mood: Array,
        previous: Places,
        turn: int,
    ) -> Situation:
        users = len(point)
        blur = self.temper.blur / np.sqrt(1 + turn)
        read = point + rng.normal(0, blur, point.shape)
        variance = self.temper.spread**2 + blur**2
        gap = ((read[:, None] - self._prototypes) ** 2).sum(axis=2)
        raised = np.exp(-(gap - gap.min(axis=1, keepdims=True)) / (2 * variance))
        hidden = np.concatenate([2.0 * np.eye(NEEDS)[need], rng.normal(0, 0.5, (users, 3))], axis=1)
        first, second = self._map
        message = np.tanh(hidden @ first) + 0.5 * np.sin(np.tanh(hidden @ first) @ second)
        emotion = np.clip(rng.beta(1, 4, (users, len(EMOTION_GROUPS))), 0, 1)
        emotion[:, 2] = np.clip(emotion[:, 2] - 0.5 * np.minimum(mood, 0), 0, 1)
        return Situation(
            posterior=raised / raised.sum(axis=1, keepdims=True),
            n_eff=np.full(users, 1.0 + turn),
            sentiment=np.clip(mood + rng.normal(0, 0.15, users), -1, 1),
            curve=np.clip(0.6 * mood, -1, 1),
            emotion=emotion,
            turn_index=np.full(users, turn),
            agent=self.layout.agent_index([AGENT] * users),
            previous_arm=np.where(previous < 0, -1, self.arms[previous]),
            message=message.astype(np.float32),
        )

    def _lived(self, turns: list[tuple], users: int, decisions: int) -> "Lived":  # type: ignore[type-arg]
        situations, *rest = zip(*turns, strict=True)
        joined = {
            name: np.concatenate([vars(each)[name] for each in situations])
            for name in vars(situations[0])
        }
        expected, chance, taken, reward, kind = (np.concatenate(each) for each in rest)
        n, shape = len(taken), (len(taken), len(self.layout.arms))
        wide, logged = np.full(shape, np.nan), np.zeros(shape)
        wide[:, self.arms], logged[:, self.arms] = _cut(expected), chance
        situation = Situation(**joined)
        action = self.arms[taken]
        user = np.array([f"second-{i}" for i in range(users)] * TURNS)
        data = PolicyDataset(
            layout=self.layout,
            situation=situation,
            mask=self.layout.served(situation.agent),
            safe=self.layout.safe(situation.agent),
            explore=np.ones(n, dtype=bool),
            action=action,
            propensity=logged[np.arange(n), action],
            probabilities=logged,
            reward=reward,
            user=user,
            usable=np.ones(n, dtype=bool),
            control=np.zeros(n, dtype=bool),
            source=np.full(n, "second"),
            decision_id=np.array([f"d{i}" for i in range(n)]),
        )
        keep = np.arange(n) < decisions
        return Lived(data.rows(keep), wide[keep], kind[keep])


@dataclass(frozen=True)
class Lived:
    """A log and the truth about it."""

    data: PolicyDataset
    expected: Array
    """[N, A] expected reward of every arm, nan outside the menu."""
    kind: Places
    """[N] prototype of the user."""

    @property
    def oracle(self) -> Array:
        """[N] of the best arm: it knows the user's point, the need, the mood and the last arm."""
        return np.asarray(np.nanmax(self.expected, axis=1))

    @property
    def logging(self) -> Array:
        """[N] of the logging policy."""
        return self.of(self.data.probabilities)

    @property
    def control(self) -> Array:
        """[N] of the reply without personalisation: the arm that is best for all users together."""
        arm = int(
            np.nanargmax(np.where(np.isnan(self.expected), -np.inf, self.expected).mean(axis=0))
        )
        return self.expected[:, arm]

    def of(self, probability: Array) -> Array:
        """[N] of a policy that draws so."""
        return np.asarray((np.nan_to_num(self.expected) * probability).sum(axis=1))

    def by(self, policy: Policy) -> Array:
        """[N] of a policy asked at each of these decisions; the past stays the log's."""
        return self.of(policy.decide(self.data.situation).probability)


_GRID = np.linspace(-1.5, 1.5, 601)


def _cut(expected: Array) -> Array:
    """Mean of the noisy sum after the cut to [-1, 1], from the quantiles of the noise."""
    noise = _NOISE.ppf((np.arange(4000) + 0.5) / 4000)
    means = np.clip(_GRID[:, None] + noise, -1, 1).mean(axis=1)
    return np.asarray(np.interp(expected, _GRID, means))
