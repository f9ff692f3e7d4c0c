"""The node that says which persona a message comes from."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.personas.model import PersonaModel
from rapport.users.encoder import UserEncoder

from .reading import Reading


@dataclass(frozen=True)
class Route:
    """Which persona, and how sure."""

    posterior: NDArray[np.float64]
    """[K], sums to 1."""
    persona_id: str
    margin: float
    """Probability of the best persona minus the second's."""
    n_eff: float
    """Messages this rests on, decayed by age."""


class PersonaRouter:
    """Name the persona of a user from his vector, the message and its emotion.

    A plain class without state: any number of replicas agree. One matrix-vector product a call.
    """

    def __init__(
        self, personas: PersonaModel, users: UserEncoder, *, closed: Collection[str] = ()
    ) -> None:
        """Take the personas, and the names of those that nobody is routed to."""
        self._personas, self.users = personas, users
        self._open = np.array([name not in closed for name in personas.names], dtype=np.float64)

    def without(self, closed: Collection[str]) -> "PersonaRouter | None":
        """Give a router that shares out some personas' probability; none where none is left."""
        router = PersonaRouter(self._personas, self.users, closed=closed)
        return router if router._open.any() else None

    def route(self, vector: NDArray[np.float32], reading: Reading) -> Route:
        """Route one message.

        Args:
            vector: The user's, with this message already heard; of an unknown user it holds
                nothing else, so that the message and its emotion decide alone.
            reading: The message.
        """
        parts = self.users.parts(vector[None])
        posterior = self._personas.posterior(
            parts.mean, parts.n, parts.features, reading.emotion[None]
        )[0]
        if not self._open.all():
            left = posterior * self._open
            # All of the mass may lie on what is closed: then nothing is known of the others.
            posterior = left / left.sum() if left.any() else self._open / self._open.sum()
        ranked = np.sort(posterior)
        second = float(ranked[-2]) if len(ranked) > 1 else 0.0
        return Route(
            posterior=posterior,
            persona_id=self._personas.names[int(posterior.argmax())],
            margin=float(ranked[-1]) - second,
            n_eff=float(parts.n[0]),
        )
