"""Shadow mode: what a release that is tried would have drawn, logged beside what was.

It reaches nobody. Each arm of a decision carries the probability that the other release gives it,
by its own personas and policy; it costs one more routing and one more decision, no writing.
"""

from dataclasses import replace

from rapport.canaries import SHADOW
from rapport.errors import RapportError

from .bundle import Bundle
from .plan import Plan
from .records import joined_reasons
from .reranker import Draw, Option, Reranker

FAILED = "shadow:failed"
"""In a decision's `degraded`: the shadow could not choose; what was served is none the worse."""


def shadowed(plan: Plan, draw: Draw, *, reranker: Reranker, explore: bool) -> Draw:
    """The draw with the shadow's probabilities among the features of its options.

    Args:
        plan: Recalled; its `shadow` is the release beside the one that serves, or none.
        draw: Of arms, by the release that serves.
        reranker: What draws.
        explore: As in the draw.
    """
    if plan.shadow is None:
        return draw
    try:
        other = _drawn(plan, plan.shadow, reranker, explore=explore)
    except (RapportError, ValueError, KeyError, TypeError):
        return replace(draw, degraded=joined_reasons(draw.degraded, FAILED))
    if other.degraded or [each.arm for each in other.options] != [e.arm for e in draw.options]:
        return replace(draw, degraded=joined_reasons(draw.degraded, FAILED))
    name = f"{SHADOW}{plan.shadow.release_id}"
    options = tuple(
        _with(option, name, float(chance))
        for option, chance in zip(draw.options, other.probability, strict=True)
    )
    return replace(draw, options=options)


def _drawn(plan: Plan, shadow: Bundle, reranker: Reranker, *, explore: bool) -> Draw:
    router, mind = shadow.router, plan.mind
    route = None
    if router and mind and mind.vector is not None and plan.party.allows("infer_affect"):
        route = router.route(mind.vector, plan.reading)
    case = replace(plan, bundle=shadow, route=route).case()
    return reranker.draw_arm(shadow, case, agent=plan.party.agent_id, explore=explore)


def _with(option: Option, name: str, chance: float) -> Option:
    return replace(option, features={**option.features, name: chance})
