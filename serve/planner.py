"""The decider: mode, persona, adapter and arm of a reply, before a word of it is written."""

import secrets
from dataclasses import replace

import numpy as np

from rapport.policy.behaviour import DISTRESS
from rapport.policy.control import in_control

from .minds import Mind, Minds
from .plan import Plan
from .records import DecisionMode, joined_reasons, now
from .reranker import Draw, Reranker
from .router import Route
from .shadow import shadowed
from .wire import Mode

ARMS_OFF = "arms:off"
"""In a decision's `degraded`: every arm of the agent is switched off, so none was drawn."""
AFFECT_UNREAD = "affect:language"
"""In a decision's `degraded`: the message is in a language whose affect is not read."""


class Planner:
    """Decide mode, persona, adapter and arm of a reply."""

    def __init__(
        self, minds: Minds, *, explore: float | None = None, mode: Mode | None = None
    ) -> None:
        self.minds, self.explore, self._mode = minds, explore, mode
        self._reranker = Reranker()

    def decided(self, plan: Plan) -> Plan:
        """Decide everything that comes before the writing."""
        if plan.asked.turn != "text" or not plan.asked.speaks:
            turn = plan.asked.turn
            return replace(plan, delivered="observed" if turn == "text" else turn)
        plan = self.recalled(plan)
        if not plan.asked.is_routed:
            return _named_model(plan)
        mode = plan.asked.mode or self._mode or self.default_mode(plan)
        if ARMS_OFF in (plan.degraded or ""):
            mode = "control"
        if plan.asked.candidates and mode == "arm_first":
            mode = "rerank"
        if mode == "control":
            return replace(plan, mode="control", delivered="control")
        plan = replace(plan, mode=mode, draw=self.drawn(plan))
        if mode == "observe":
            return plan
        delivered = "pinned" if ":" in plan.asked.model else "full"
        return adapted(replace(plan, delivered=delivered))

    def drawn(self, plan: Plan) -> Draw:
        """Draw an arm; where a shadow stands beside the release, its choice is noted."""
        explore = may_explore(plan)
        draw = self._reranker.draw_arm(
            plan.bundle, plan.case(), agent=plan.party.agent_id, explore=explore
        )
        return shadowed(plan, draw, reranker=self._reranker, explore=explore)

    def recalled(self, plan: Plan) -> Plan:
        """Take in the message: what is remembered of the user, and which persona he is."""
        party = plan.party
        router = plan.bundle.router
        mind = Mind()
        if party.known and party.allows("memory") and not party.protected:
            mind = self.minds.recall(party.tenant, party.user_id)
        users = router.users if router else None
        if plan.asked.speaks:
            mind = mind.heard(plan.seen, now(), plan.episode.episode_id, users)
        route = None
        if router and mind.vector is not None and party.allows("infer_affect"):
            route = router.route(mind.vector, plan.reading)
        served = plan.bundle.menu(party.agent_id).served
        agreed = party.allows("infer_affect")
        unread = AFFECT_UNREAD if agreed and not plan.reading.readable else None
        degraded = joined_reasons(plan.degraded, unread, None if served else ARMS_OFF)
        return replace(plan, mind=mind, route=_pinned(plan, route), degraded=degraded)

    def default_mode(self, plan: Plan) -> DecisionMode:
        """Mode of a request that asks for none; `arm_first` stands for any that chooses.

        Without a promoted release, and with an upstream that the serving release was not made for,
        nothing is chosen but for the share that the operator lets explore.
        """
        if ARMS_OFF in (plan.degraded or ""):
            return "control"
        if plan.bundle.release_id is None or plan.is_new_upstream:
            exploring = self.explore is not None and secrets.randbelow(10**6) < self.explore * 1e6
            return "arm_first" if exploring and may_explore(plan) else "observe"
        return "control" if plan.party.known and in_control(plan.party.user_id) else "arm_first"


def adapted(plan: Plan) -> Plan:
    """Say who writes: an upstream, or the approved library, an adapter or the base model.

    What the library withholds was measured on the built-in model and says nothing of an upstream.
    """
    if plan.upstream is not None:
        return plan
    bundle, route = plan.bundle, plan.route
    withheld = plan.arm and bundle.library.answers(plan.party.agent_id, plan.arm.name)
    if withheld and plan.mode == "arm_first":
        return replace(plan, ready=plan.library_reply(), origin="library")
    if plan.party.protected:
        return plan
    adapter = bundle.adapter(route.persona_id if route else None, route.margin if route else 0.0)
    return replace(plan, adapter=adapter, origin="adapter" if adapter[0] else "base")


def _pinned(plan: Plan, route: Route | None) -> Route | None:
    """Put the persona that the request names in the place of the one found."""
    name = plan.asked.model.removeprefix("rapport:")
    if name == plan.asked.model:
        return route
    share = np.array([float(persona == name) for persona in plan.bundle.layout.personas])
    evidence = route.n_eff if route else 0.0
    return Route(posterior=share, persona_id=name, margin=1.0, n_eff=evidence)


def _named_model(plan: Plan) -> Plan:
    """Answer with the base model, or with an adapter by name; a protected user gets no adapter."""
    name = plan.asked.model.removeprefix(plan.base_model).removeprefix(":")
    if not name:
        return plan
    if plan.party.protected:
        return replace(plan, delivered="pinned", degraded="adapter:protected")
    adapter = (f"{plan.bundle.release_id}/{name}", str(plan.bundle.adapters[name]))
    return replace(plan, adapter=adapter, origin="adapter", delivered="pinned")


def may_explore(plan: Plan) -> bool:
    """Whether chance may choose: the user agreed, is not protected and not in distress.

    Of a message in a language whose affect is not read, nobody knows the last.
    """
    party = plan.party
    calm = plan.reading.readable and plan.reading.sentiment > DISTRESS
    return party.allows("experiment") and party.explorable and not party.protected and calm
