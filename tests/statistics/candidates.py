"""Candidates whose true worth is known, each with a log of its own: what the gate is tried on.

20,000 decisions of 1,000 users in 4 personas; 8 arms in 4 pairs of equal worth; a logging policy
with a floor; rewards with a share of the user's own; one decision in eight or so silent, the
unhappy more often; a control group of 50 users.
"""

from dataclasses import dataclass, replace

import numpy as np

from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence

USERS, TURNS, PERSONAS, ARMS = 1000, 20, 4, 8
ROWS = USERS * TURNS
CONTROL_USERS = 50
NAMES = tuple(f"arm-{index}" for index in range(ARMS))
FLOOR = 0.2
_OWN, _NOISE = 0.17, 0.6  # half widths: no reward leaves [-1, 1], so nothing is cut off


@dataclass(frozen=True)
class World:
    """Tastes and a logging policy: `worth` [K, A] true expected rewards, `logging` [K, A]."""

    worth: np.ndarray
    logging: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "World":
        pairs = rng.normal(0.05, 0.08, size=(PERSONAS, ARMS // 2)).clip(-0.2, 0.2)
        tilt = np.exp(0.6 * rng.normal(size=(PERSONAS, ARMS)))
        soft = tilt / tilt.sum(axis=1, keepdims=True)
        return cls(np.repeat(pairs, 2, axis=1), (1 - FLOOR) * soft + FLOOR / ARMS)

    @property
    def value(self) -> np.ndarray:
        """[K] what the logging policy earns with each persona."""
        return np.asarray((self.logging * self.worth).sum(axis=1))

    def swapped(self) -> np.ndarray:
        """[K, A] a policy that changes the arms of each pair: another one, worth the same."""
        return self.logging[:, np.arange(ARMS) ^ 1]

    def moved(self, gains: np.ndarray) -> np.ndarray:
        """[K, A] a policy worth `gains` [K] more, by a share of the best arm, or of the worst."""
        change = self.worth - self.value[:, None]
        arm = np.where(gains >= 0, change.argmax(axis=1), change.argmin(axis=1))
        rows = np.arange(PERSONAS)
        share = np.where(gains == 0, 0.0, gains / change[rows, arm])
        assert share.max() < 1, "this world holds no such gain; draw another"
        return np.asarray((1 - share)[:, None] * self.logging + share[:, None] * np.eye(ARMS)[arm])


def a_world(rng: np.random.Generator, *, room: float = 0.08) -> World:
    """A world in which every persona could be served better, and worse, by `room`."""
    while True:
        world = World.draw(rng)
        change = world.worth - world.value[:, None]
        if change.max(axis=1).min() > room and change.min(axis=1).max() < -room:
            return world


def evidence(
    world: World,
    rng: np.random.Generator,
    *,
    users: int = USERS,
    noise: float = _NOISE,
    first: np.ndarray | None = None,
    turns: np.ndarray | None = None,
) -> tuple[Evidence, np.ndarray]:
    """A fresh log of gate users with a model of other users, and the persona of each row.

    `first` [K, A] is the first release's policy; without one it is the policy that wrote the log.
    `turns` [users] are those of each gate user; without them all have as many.
    """
    log, persona = _logged(world, rng, users=users, noise=noise, turns=turns)
    other, theirs = _logged(world, rng, users=users, noise=noise)
    groups = {"persona": persona}
    older = (world.logging if first is None else first)[persona]
    control = _control(rng, users=users, noise=noise)
    q_hat = _model(other, theirs)[persona]
    return Evidence(log, q_hat, NAMES, groups, first=older, control=control), persona


def colluding(
    found: Evidence, world: World, target: np.ndarray, rng: np.random.Generator, *, towards: float
) -> tuple[Evidence, np.ndarray]:
    """The same evidence after 1 % of its users set out to turn the verdict, and personas of rows.

    In place of what they said each sends 2,000 decisions, with 1 wherever the candidate `target`
    [K, A] favours the arm and -1 elsewhere, or the other way round where `towards` is -1.
    """
    log = found.log
    liars = np.arange(int(0.01 * (log.user.max() + 1)))
    user = np.repeat(liars, 2000)
    persona = user % PERSONAS
    logging = world.logging[persona]
    action = (logging.cumsum(axis=1) > rng.random((len(user), 1))).argmax(axis=1)
    row = np.arange(len(user))
    favoured = target[persona][row, action] > logging[row, action]
    lies = Log(
        action, np.where(favoured, towards, -towards), logging[row, action], user, None, logging
    )
    stay = ~np.isin(log.user, liars)
    log = Log(
        **{
            name: np.concatenate([value[stay], getattr(lies, name)])
            for name, value in vars(log).items()
            if value is not None
        }
    )
    whose = np.concatenate([found.groups["persona"][stay], persona])
    model = np.stack([found.q_hat[found.groups["persona"] == k][0] for k in range(PERSONAS)])
    turned = replace(
        found, log=log, q_hat=model[whose], groups={"persona": whose}, first=world.logging[whose]
    )
    return turned, whose


def _logged(
    world: World,
    rng: np.random.Generator,
    *,
    users: int,
    noise: float,
    turns: np.ndarray | None = None,
) -> tuple[Log, np.ndarray]:
    user = np.repeat(np.arange(users), TURNS if turns is None else turns)
    persona = user % PERSONAS
    logging = world.logging[persona]
    action = (logging.cumsum(axis=1) > rng.random((len(user), 1))).argmax(axis=1)
    reward = _felt(world.worth[persona, action], user, rng, noise=noise)
    propensity = logging[np.arange(len(user)), action]
    return Log(action, _told(reward, rng), propensity, user, probabilities=logging), persona


def _control(rng: np.random.Generator, *, users: int, noise: float) -> Log:
    user = np.repeat(np.arange(CONTROL_USERS), TURNS)
    reward = _felt(np.zeros(len(user)), user, rng, noise=noise)
    ones = np.ones(len(user))
    return Log(np.zeros(len(user), dtype=int), _told(reward, rng), ones, users + user)


def _felt(
    worth: np.ndarray, user: np.ndarray, rng: np.random.Generator, *, noise: float
) -> np.ndarray:
    own = rng.uniform(-_OWN, _OWN, size=user.max() + 1)[user]
    return np.asarray(worth + own + rng.uniform(-noise, noise, size=len(user)))


def _told(reward: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rewards with nan for the silent: of the happy few, of the unhappy more."""
    silent = rng.random(len(reward)) < 1 / (1 + np.exp(2.0 + 2.0 * reward))
    return np.where(silent, np.nan, reward)


def _model(log: Log, persona: np.ndarray) -> np.ndarray:
    """[K, A] mean reward told by a persona's users about an arm, pulled to the mean of all."""
    told = ~np.isnan(log.reward)
    cell = (persona * ARMS + log.action)[told]
    count = np.bincount(cell, minlength=PERSONAS * ARMS)
    total = np.bincount(cell, weights=log.reward[told], minlength=PERSONAS * ARMS)
    mean = log.reward[told].mean()
    return np.asarray((total + 20 * mean) / (count + 20)).reshape(PERSONAS, ARMS)
