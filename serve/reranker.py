"""The node that draws: an arm before the reply is written, or one of k replies after."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rapport.affect.scorers import EMOTIONS
from rapport.arms import Arm, Menu
from rapport.policy.behaviour import draw
from rapport.policy.features import Layout, Situation, group_emotions
from rapport.policy.policy import Scores
from rapport.policy.recall import shares_to_features

from .bundle import Bundle
from .judging import Judged, judged
from .minds import Mind
from .reading import Reading
from .records import Origin
from .router import Route

SEED_BITS = 63


@dataclass(frozen=True)
class Option:
    """One reply that may be taken: an arm to write it under, or a finished text, or an action."""

    arm: Arm | None
    """Arm asked for, or the one that a client's text shows; none where nothing tells."""
    text: str | None = None
    origin: Origin | None = None
    """Who wrote the text; none where it is yet to be written."""
    action_id: str | None = None
    """The client's name for it."""
    features: Mapping[str, float] = field(default_factory=dict)
    guard: str | None = None
    """What keeps it out of the draw: a rule of the guard, or `excluded`."""

    @property
    def is_safe(self) -> bool:
        """Whether chance may take it."""
        return self.arm is None or self.arm.safe_to_explore

    def showing(self, layout: Layout, share: NDArray[np.float64]) -> "Option":
        """This option with the arms that its text shows, [A], among its features."""
        return replace(self, features={**self.features, **shares_to_features(layout, share)})


@dataclass(frozen=True)
class Draw:
    """What was drawn, from exactly which probabilities."""

    options: tuple[Option, ...]
    """[k] in logged order, those kept out of the draw among them."""
    nlp: NDArray[np.float64]
    """[k], nan where an option was kept out; so is `rec`."""
    rec: NDArray[np.float64]
    probability: NDArray[np.float64]
    """[k] float64, sums to 1, exactly 0 where an option was kept out; what is logged."""
    index: int
    seed: int
    policy_id: str | None = None
    """Which policy gave the probabilities; none where nothing was scored."""
    degraded: str | None = None
    """What was missing of the policy."""

    @property
    def option(self) -> Option:
        """The option drawn."""
        return self.options[self.index]

    @property
    def arm(self) -> Arm | None:
        """The arm drawn."""
        return self.option.arm

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
        menu = bundle.menu(agent)
        found = _decided(bundle, menu, case, explore=explore)
        return _drawn(tuple(map(Option, menu.served)), found.scores, found)

    def best_arms(self, bundle: Bundle, case: Situation, *, agent: str, k: int) -> list[Arm]:
        """Name the k arms with the largest product of both scores, best first."""
        menu = bundle.menu(agent)
        scores = _decided(bundle, menu, case).scores
        product = bundle.policy.behaviour.log_score(scores.nlp, scores.rec)
        return [menu.served[i] for i in np.argsort(-product, kind="stable")[:k]]

    def draw_option(
        self,
        bundle: Bundle,
        case: Situation,
        *,
        options: Sequence[Option],
        nlp: Sequence[float],
        shown: NDArray[np.float64],
        explore: bool,
    ) -> Draw:
        """Draw one of the options; those with a guard's word against them stay out.

        Args:
            bundle: The release that serves.
            case: One row.
            options: Any number, of which k >= 1 are free.
            nlp: [k] fit of each free one to its context, in (0, 1].
            shown: [k, A] share of each arm that each free one shows.
            explore: False where nothing may be left to chance.
        """
        free = [i for i, option in enumerate(options) if option.guard is None]
        safe = np.array([[options[i].is_safe for i in free]])
        found = judged(
            bundle.policy,
            lambda policy: policy.rank(
                case,
                np.asarray(nlp, dtype=np.float64)[None],
                shares=shown.astype(np.float32),
                safe=safe,
                explore=np.array([explore]),
            ),
        )
        found = replace(found, degraded=found.degraded or bundle.fault)
        return _drawn(tuple(options), _spread(found.scores, free, len(options)), found)


def sure(option: Option) -> Draw:
    """The draw that could only end so: nothing was scored, nothing left to chance."""
    unscored = np.array([np.nan])
    return Draw((option,), unscored, unscored, np.ones(1), index=0, seed=0)


def _decided(bundle: Bundle, menu: Menu, case: Situation, *, explore: bool | None = None) -> Judged:
    """One row's scores of a menu's served arms, each [k]; no other arm takes part."""
    columns = bundle.layout.arm_index([arm.name for arm in menu.served])
    mask = np.zeros((1, len(bundle.layout.arms)), dtype=bool)
    mask[0, columns] = True
    free = None if explore is None else np.array([explore])
    found = judged(bundle.policy, lambda policy: policy.decide(case, mask=mask, explore=free))
    cut = _cut(found.scores, columns)
    return replace(found, scores=cut, degraded=found.degraded or bundle.fault)


def _cut(scores: Scores, columns: NDArray[np.intp]) -> Scores:
    """One row's scores at some columns, each [k]."""
    return Scores(*(values[0, columns] for values in vars(scores).values()))


def _spread(scores: Scores, free: Sequence[int], size: int) -> Scores:
    """One row's scores at their places among `size` options, each [size]."""
    nlp, rec, probability = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size)
    nlp[free], rec[free], probability[free] = scores.nlp[0], scores.rec[0], scores.probability[0]
    return Scores(nlp, rec, probability)


def _drawn(options: tuple[Option, ...], scores: Scores, found: Judged) -> Draw:
    probability = np.ascontiguousarray(scores.probability, dtype=np.float64)
    seed = secrets.randbits(SEED_BITS)
    return Draw(
        options=options,
        nlp=scores.nlp,
        rec=scores.rec,
        probability=probability,
        index=draw(probability, seed),
        seed=seed,
        policy_id=found.policy_id,
        degraded=found.degraded,
    )
