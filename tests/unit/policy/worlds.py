"""A small made-up world for tests of the policy: personas with tastes, a noisy sign of each."""

import numpy as np

from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import EMOTION_GROUPS, NO_ARM, Layout, Situation

LAYOUT = Layout.of(["dry-01", "warm-02", "wry-03"])


def a_situation(*, n=6, seed=0, layout=LAYOUT, agent="emotional_support", persona=None):
    rng = np.random.default_rng(seed)
    persona = rng.integers(len(layout.personas), size=n) if persona is None else persona
    posterior = 0.7 * np.eye(len(layout.personas))[persona] + 0.3 / len(layout.personas)
    return Situation(
        posterior=posterior,
        n_eff=rng.uniform(0, 20, size=n),
        sentiment=rng.uniform(-1, 1, size=n),
        curve=rng.uniform(-0.5, 0.5, size=n),
        emotion=rng.uniform(0, 1, size=(n, len(EMOTION_GROUPS))),
        turn_index=rng.integers(0, 12, size=n),
        agent=layout.agent_index([agent] * n),
        previous_arm=np.full(n, NO_ARM),
        message=rng.normal(size=(n, 24)).astype(np.float32),
    )


def a_world(*, n=3000, users=300, seed=0, silent=0.1, gap=0.5):
    """A dataset under a tilted logging policy, and its true expected rewards [N, A].

    Persona k likes arm k of the menu by `gap` more than the others.
    """
    rng = np.random.default_rng(seed)
    layout = LAYOUT
    user = rng.integers(users, size=n)
    persona = user % len(layout.personas)
    situation = a_situation(n=n, seed=seed, persona=persona)
    mask = layout.served(situation.agent)
    menu = np.flatnonzero(mask[0])
    expected = np.full(mask.shape, np.nan)
    expected[:, menu] = -0.1
    expected[np.arange(n), menu[persona]] += gap
    tilt = np.where(mask, np.exp(0.5 * rng.normal(size=mask.shape[1]))[None, :], 0.0)
    logging = 0.8 * tilt / tilt.sum(axis=1, keepdims=True) + 0.2 * mask / mask.sum(axis=1)[:, None]
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    reward = np.clip(expected[np.arange(n), action] + 0.3 * rng.normal(size=n), -1, 1)
    reward[rng.random(n) < silent] = np.nan
    data = PolicyDataset(
        layout=layout,
        situation=situation,
        mask=mask,
        safe=layout.safe(situation.agent),
        explore=np.ones(n, dtype=bool),
        action=action,
        propensity=logging[np.arange(n), action],
        probabilities=logging,
        reward=reward,
        user=np.array([f"user-{u}" for u in user]),
        usable=np.ones(n, dtype=bool),
        control=np.zeros(n, dtype=bool),
        source=np.full(n, "simulation"),
        decision_id=np.array([f"decision-{i}" for i in range(n)]),
    )
    return data, expected
