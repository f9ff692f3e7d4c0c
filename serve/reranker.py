"""The node that draws: an arm before the reply is written, or one of k replies after."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.affect.scorers import EMOTIONS
from rapport.arms import Arm, Menu, load_menu
from rapport.policy.behaviour import draw
from rapport.policy.features import Situation, group_emotions
from rapport.policy.policy import Scores

from .bundle import Bundle
from .minds import Mind
from .reading import Reading
from .router import Route

SEED_BITS = 63


@dataclass(frozen=True)
class Draw:
    """What was drawn, from exactly which probabilities."""

    arms: tuple[Arm, ...]
    """[k] in logged order."""
    nlp: NDArray[np.float64]
    rec: NDArray[np.float64]
    probability: NDArray[np.float64]
    """[k] float64, sums to 1; what is logged."""
    index: int
    seed: int

    @property
    def arm(self) -> Arm:
        """The arm drawn."""
        return self.arms[self.index]

    @property
    def propensity(self) -> float:
        """Probability of what was drawn, the very entry of the vector."""
        return float(self.probability[self.index])

    @property
    def explored(self) -> bool:
        """Whether chance took another than the likeliest."""
        return bool(self.probability[self.index] < self.probability.max())


def situation(
    bundle: Bundle, mind: Mind, reading: Reading, *, route: Route | None, where: tuple[str, int]
) -> Situation:
    """Build the one-row situation of a decision, as training sees it.

    Args:
        bundle: The release that serves.
        mind: The user with this message already heard.
        reading: The message.
        route: His persona; none makes every persona equally likely.
        where: Agent, and index of the reply's turn.
    """
    agent, turn = where
    layout = bundle.layout
    posterior = route.posterior if route else np.ones(len(layout.personas))
    return Situation(
        posterior=posterior[None] / posterior.sum(),
        n_eff=np.array([route.n_eff if route else 0.0]),
        sentiment=np.array([reading.sentiment]),
        curve=np.array([mind.curve.value]),
        emotion=group_emotions(reading.emotion[None], EMOTIONS),
        turn_index=np.array([turn]),
        agent=layout.agent_index([agent]),
        previous_arm=layout.arm_index([mind.last_arm]),
        message=reading.vector[None],
    )


class Reranker:
    """Draw from the policy's probabilities. No state: any number of replicas agree."""

    def draw_arm(self, bundle: Bundle, case: Situation, *, agent: str, explore: bool) -> Draw:
        """Draw the arm under which one reply will be written."""
        menu = load_menu(agent)
        scores = bundle.policy.decide(case, explore=np.array([explore]))
        return _drawn(menu.served, _columns(bundle, menu), scores)

    def best_arms(self, bundle: Bundle, case: Situation, *, agent: str, k: int) -> list[Arm]:
        """Name the k arms with the largest product of both scores, best first."""
        menu = load_menu(agent)
        columns = _columns(bundle, menu)
        scores = bundle.policy.decide(case)
        product = bundle.policy.behaviour.log_score(scores.nlp, scores.rec)[0, columns]
        return [menu.served[i] for i in np.argsort(-product, kind="stable")[:k]]

    def draw_reply(
        self,
        bundle: Bundle,
        case: Situation,
        *,
        arms: Sequence[Arm],
        nlp: Sequence[float],
        shown: NDArray[np.float64],
        explore: bool,
    ) -> Draw:
        """Draw one of k written replies.

        Args:
            bundle: The release that serves.
            case: One row.
            arms: [k] arms the replies were written under.
            nlp: [k] fit of each text to its context, in (0, 1].
            shown: [k, A] share of each arm that each text shows.
            explore: False where nothing may be left to chance.
        """
        safe = np.array([[arm.safe_to_explore for arm in arms]])
        scores = bundle.policy.rank(
            case,
            np.asarray(nlp, dtype=np.float64)[None],
            shares=shown.astype(np.float32),
            safe=safe,
            explore=np.array([explore]),
        )
        return _drawn(tuple(arms), np.arange(len(arms)), scores)


def _columns(bundle: Bundle, menu: Menu) -> NDArray[np.intp]:
    return bundle.layout.arm_index([arm.name for arm in menu.served])


def _drawn(arms: tuple[Arm, ...], columns: NDArray[np.intp], scores: Scores) -> Draw:
    probability = np.ascontiguousarray(scores.probability[0, columns], dtype=np.float64)
    seed = secrets.randbits(SEED_BITS)
    return Draw(
        arms=arms,
        nlp=scores.nlp[0, columns],
        rec=scores.rec[0, columns],
        probability=probability,
        index=draw(probability, seed),
        seed=seed,
    )
