"""A world in which a reply decides what the next one is worth: trust is built, then spent.

Conversations of eight decisions. Questions and reflections earn nothing at once, but build trust;
suggestions and information earn much where trust is high and cost where it is not; everything else
pleases a little and leaves trust as it is, some kinds a little more for some prototypes. The user's
mood shows the trust, with an error, so a policy can see it. Who asks only what a reply earns
at once never builds any.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import EMOTION_GROUPS, NO_ARM, Layout, Situation
from rapport.policy.policy import Policy

Array = NDArray[np.float64]
Places = NDArray[np.intp]

AGENT, PROTOTYPES, TURNS = "emotional_support", 3, 8
BUILDING, SPENDING = ("question", "reflection"), ("suggestion", "information")
_STEP, _NOISE, _PLEASANT, _LIKED, _LEAN = 0.35, 0.2, 0.05, 0.05, 3.0


@dataclass(frozen=True)
class Trusting:
    """The world of a seed."""

    seed: int

    def log(self, users: int, *, seed: int) -> PolicyDataset:
        """What users live through under the logging policy: more advice in good moods."""
        return self._run(users, seed=seed, policy=None)[0]

    def value(self, policy: Policy | None, *, users: int = 2000) -> float:
        """Mean true reward a decision when a policy decides all of every conversation.

        None is the logging policy. The users and their chances are the same for every policy.
        """
        return float(self._run(users, seed=10_000 + self.seed, policy=policy)[1].mean())

    @property
    def layout(self) -> Layout:
        """Prototypes are the personas."""
        return Layout.of([f"prototype-{i}" for i in range(PROTOTYPES)])

    def _run(self, users: int, *, seed: int, policy: Policy | None) -> tuple[PolicyDataset, Array]:
        rng = np.random.default_rng((self.seed, seed))
        layout, n = self.layout, users
        liked = _LIKED * np.random.default_rng((self.seed, 1)).normal(
            size=(PROTOTYPES, len(layout.arms))
        )
        builds, spends = (np.isin(layout.arms, kinds) for kinds in (BUILDING, SPENDING))
        kind, trust = rng.integers(PROTOTYPES, size=n), rng.uniform(-0.6, -0.2, n)
        previous, turns, earned = np.full(n, NO_ARM), [], []
        for turn in range(TURNS):
            situation = self._seen(rng, kind, trust, previous, turn)
            mask = layout.served(situation.agent)
            # As supporters do: advice comes once the mood allows it.
            leaning = np.exp(_LEAN * spends * situation.sentiment[:, None]) * mask
            chance = leaning / leaning.sum(axis=1, keepdims=True)
            if policy is not None:
                chance = policy.decide(situation, mask=mask).probability
            taken = (chance.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
            expected = np.where(
                builds[taken], 0.0, np.where(spends[taken], 0.9 * trust, _PLEASANT)
            ) + np.where(builds[taken], 0.0, liked[kind, taken])
            turns.append((situation, mask, chance, taken, expected + rng.normal(0, _NOISE, n)))
            earned.append(expected)
            step = np.where(builds[taken], _STEP, np.where(spends[taken], -0.1, -0.02))
            trust = np.clip(trust + step + rng.normal(0, 0.05, n), -1.0, 1.0)
            previous = taken
        return self._dataset(turns, users), np.array(earned)

    def _seen(
        self, rng: np.random.Generator, kind: Places, trust: Array, previous: Places, turn: int
    ) -> Situation:
        n = len(trust)
        sure = rng.uniform(0.5, 0.9, n)[:, None]
        return Situation(
            posterior=sure * np.eye(PROTOTYPES)[kind] + (1 - sure) / PROTOTYPES,
            n_eff=np.full(n, 1.0 + turn),
            sentiment=np.clip(trust + rng.normal(0, 0.1, n), -1, 1),
            curve=np.clip(trust + rng.normal(0, 0.1, n), -1, 1),
            emotion=np.zeros((n, len(EMOTION_GROUPS))),
            turn_index=np.full(n, turn),
            agent=self.layout.agent_index([AGENT] * n),
            previous_arm=previous,
            message=rng.normal(size=(n, 8)).astype(np.float32),
        )

    def _dataset(self, turns: list[tuple], users: int) -> PolicyDataset:  # type: ignore[type-arg]
        situations, *rest = zip(*turns, strict=True)
        mask, chance, taken, reward = (np.concatenate(each) for each in rest)
        names = vars(situations[0])
        joined = {name: np.concatenate([vars(s)[name] for s in situations]) for name in names}
        n = len(taken)
        user = np.array([f"trust-{i}" for i in range(users)] * TURNS)
        return PolicyDataset(
            layout=self.layout,
            situation=Situation(**joined),
            mask=mask,
            safe=mask,
            explore=np.ones(n, dtype=bool),
            action=taken,
            propensity=chance[np.arange(n), taken],
            probabilities=chance,
            reward=np.clip(reward, -1.0, 1.0),
            user=user,
            usable=np.ones(n, dtype=bool),
            control=np.zeros(n, dtype=bool),
            source=np.full(n, "trust"),
            decision_id=np.array([f"d{i}" for i in range(n)]),
            episode=user,
        )
