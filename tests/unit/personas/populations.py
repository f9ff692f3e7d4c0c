"""Users whose turns are known mixtures: persona, topic and noise, each a direction of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Population:
    """U users of N turns; truth beside the vectors."""

    vectors: NDArray[np.float32]
    """[N, D]."""
    users: NDArray[np.int64]
    conversations: NDArray[np.int64]
    persona: NDArray[np.int64]
    """[U]."""
    topic: NDArray[np.int64]
    """[U], the topic each user mostly writes about."""

    @property
    def means(self) -> NDArray[np.float64]:
        sums = np.zeros((len(self.persona), self.vectors.shape[1]))
        np.add.at(sums, self.users, self.vectors)
        return sums / self.sizes[:, None]

    @property
    def sizes(self) -> NDArray[np.float64]:
        return np.bincount(self.users).astype(np.float64)

    def part(self, users: slice) -> "Population":
        chosen = np.arange(len(self.persona))[users]
        rows = np.isin(self.users, chosen)
        recoded = np.searchsorted(chosen, self.users[rows])
        return Population(
            self.vectors[rows],
            recoded,
            self.conversations[rows],
            self.persona[users],
            self.topic[users],
        )


def a_population(
    *,
    users: int = 240,
    turns: int = 16,
    personas: int = 3,
    voice: float = 0.8,
    seed: int = 0,
) -> Population:
    """Turns in 96 dimensions: topics three times as loud as noise, voices `voice` times.

    A user keeps to one topic in four conversations of five; conversations have four turns.
    """
    dim, topics, talk = 96, 5, 4
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    persona = rng.permutation(np.arange(users) % personas)
    topic = rng.integers(0, topics, users)
    code = np.repeat(np.arange(users), turns)
    talks = np.arange(users * turns) // talk
    talk_user = np.arange(users * turns // talk) // (turns // talk)
    other = rng.random(len(talk_user)) < 0.2
    subject = np.where(other, rng.integers(0, topics, len(talk_user)), topic[talk_user])
    vectors = rng.normal(size=(users * turns, dim))
    vectors += 3.0 * basis[subject[talks]]
    vectors += 1.4 * voice * basis[topics + persona[code]]
    return Population(vectors.astype(np.float32), code, talks, persona, topic)
