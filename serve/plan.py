"""The plan of one reply: who answers, under which arm, drawn from what; then what was said."""

import hashlib
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rapport.arms import Arm, load_menu
from rapport.governance.redaction import redact
from rapport.language.engine import Delta
from rapport.language.library import approved_reply
from rapport.language.prompts import Message, build
from rapport.language.sampling import Sampling
from rapport.policy.behaviour import DISTRESS
from rapport.policy.features import Situation
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, new_id

from .answer import Usage
from .bundle import Bundle
from .minds import Mind, Minds
from .reading import Reading
from .records import Episode, Party, candidate, now, turn_row
from .reranker import Draw, Reranker, situation
from .router import Route
from .wire import ChatRequest, Mode

CONTROL_SHARE = 0.05

Origin = Literal["adapter", "base", "library", "fallback"]


@dataclass
class Speech:
    """What was said; changes while a reply is written."""

    delivered: str
    usage: Usage
    text: str = ""
    origin: Origin | None = None
    degraded: str | None = None
    guard: str | None = None

    def hear(self, delta: Delta) -> None:
        """Take in what the engine wrote."""
        self.text += delta.text
        self.usage.tokens_in, self.usage.tokens_out = delta.tokens_in, delta.tokens_out
        if delta.finish:
            self.usage.finish = "length" if delta.finish == "length" else "stop"

    def fall_back(self, text: str, *, reason: str) -> None:
        """Say an approved reply because the engine did not answer."""
        self.text, self.origin, self.delivered = text, "fallback", "fallback"
        self.degraded = reason

    def replace(self, text: str, *, rule: str) -> None:
        """Say an approved reply in place of one that must not leave."""
        self.text, self.origin, self.delivered = text, "library", "guard_replaced"
        self.guard = rule


@dataclass(frozen=True)
class Plan:
    """Everything decided before the reply is written."""

    asked: ChatRequest
    bundle: Bundle
    party: Party
    episode: Episode
    reading: Reading
    said: str
    base_model: str
    started: float
    mode: Mode = "observe"
    delivered: str = "observed"
    mind: Mind | None = None
    route: Route | None = None
    draw: Draw | None = None
    adapter: tuple[str | None, str | None] = (None, None)
    ready: str | None = None
    """A text that needs no writing: from the library, chosen by `rerank`, or for a crisis."""
    origin: Origin = "base"
    texts: tuple[str, ...] = ()
    """Candidates' texts, in `draw`'s order, where they were written before the draw."""
    crisis: bool = False
    decision_id: str = field(default_factory=new_id)

    @property
    def arm(self) -> Arm | None:
        """Arm the reply is given under; none where the reply passes unchanged."""
        if self.draw is None or self.mode in ("observe", "control"):
            return None
        return self.draw.arm

    def case(self) -> Situation:
        """Build what the policy sees."""
        assert self.mind is not None
        where = (self.party.agent_id, self.episode.turn_index + 1)
        return situation(self.bundle, self.mind, self.reading, route=self.route, where=where)

    def in_crisis(self, reply: str) -> "Plan":
        """Answer with the crisis reply: no adapter, no reranker, no policy."""
        return replace(
            self,
            mode="control",
            delivered="guard_replaced",
            ready=reply,
            origin="library",
            crisis=True,
        )

    def prompt(self, arm: Arm | None = None) -> list[Message]:
        """Messages for the model; unchanged ones where no arm was drawn."""
        messages = [Message(role=m.role, content=m.text) for m in self.asked.messages]
        arm = arm or self.arm
        return build(messages, arm=arm, level="role" if arm else "base")

    def sampling(self) -> Sampling:
        """How the reply's tokens are drawn."""
        asked = self.asked
        seed = asked.seed if asked.seed is not None else secrets.randbits(31)
        return Sampling(
            temperature=0.7 if asked.temperature is None else asked.temperature,
            top_p=asked.top_p or 0.9,
            max_tokens=asked.limit_tokens,
            stop=asked.stops,
            seed=seed,
        )

    def library_reply(self) -> str:
        """Choose an approved reply of the arm drawn, else one that asks what was meant."""
        arm = self.arm or load_menu(self.party.agent_id)["clarify"]
        used = [m.text for m in self.asked.messages if m.role == "assistant"]
        return approved_reply(arm, used=used, seed=secrets.randbits(31))

    def decision_row(self, speech: Speech) -> dict[str, Any]:
        """Build the row of the decisions table; the same id before and after the reply."""
        candidates = self._candidates(speech)
        index = self.draw.index if self.draw and len(candidates) > 1 else 0
        route = self.route
        return {
            **self.party.event(now()),
            "decision_id": self.decision_id,
            "inference_id": self.decision_id,
            "episode_id": self.episode.episode_id,
            "turn_index": self.episode.turn_index + 1,
            "persona_id": route.persona_id if route else None,
            "persona_version": self.bundle.release_id if route else None,
            "persona_margin": route.margin if route else None,
            "features": {"sentiment": self.reading.sentiment},
            "mode": self.mode,
            "delivered": speech.delivered,
            "candidates": candidates,
            "action_index": index,
            "propensity": candidates[index]["probability"],
            "propensity_source": "logged",
            "explored": bool(self.draw and self.draw.explored and len(candidates) > 1),
            "policy_id": self.bundle.policy.id,
            "policy_version": self.bundle.release_id,
            "release_id": self.bundle.release_id,
            "rng_seed": self.draw.seed if self.draw and len(candidates) > 1 else None,
            "latency_ms": (time.monotonic() - self.started) * 1000,
            "tokens_in": speech.usage.tokens_in,
            "tokens_out": speech.usage.tokens_out,
            "degraded": speech.degraded,
        }

    def user_turn(self) -> dict[str, Any]:
        """Build the user's turn; in a crisis its text is not kept, the row is."""
        columns: dict[str, Any] = {"facet": CRISIS_FACET} if self.crisis else {}
        if not self.crisis and self.party.allows("infer_affect"):
            columns["sentiment"] = self.reading.sentiment
        text = CRISIS_TEXT if self.crisis else redact(self.said)
        return turn_row(self.party, self.episode, role="user", text=text, **columns)

    def reply_turn(self, speech: Speech) -> dict[str, Any]:
        """Build the reply's turn."""
        arm = self.arm.name if self.arm else None
        return turn_row(self.party, self.episode, role="assistant", text=speech.text, arm=arm)

    def block(self, speech: Speech) -> dict[str, Any]:
        """Build the `rapport` object of the response as things stand."""
        row = self.decision_row(speech)
        names = ("decision_id", "episode_id", "persona_id", "mode", "policy_version", "release_id")
        block = {name: row[name] for name in names}
        chosen = row["candidates"][row["action_index"]]
        block |= {
            "arm": self.arm.name if self.arm else None,
            "origin": chosen["origin"],
            "delivered": row["delivered"],
            "propensity": row["propensity"],
            "explored": row["explored"],
            "sentiment": self.reading.sentiment if self.party.allows("infer_affect") else None,
            "degraded": row["degraded"],
            "guard": CRISIS_FACET if self.crisis else speech.guard,
        }
        if self.asked.dryrun:
            block["decision_id"] = None
        if self.asked.explain:
            shown = ("arm", "text", "nlp_score", "rec_score", "probability")
            block["candidates"] = [{k: c[k] for k in shown} for c in row["candidates"]]
        return block

    def _candidates(self, speech: Speech) -> list[dict[str, Any]]:
        origin = speech.origin or self.origin
        if self.crisis or self.mode == "control" or self.draw is None:
            guard = CRISIS_FACET if self.crisis else speech.guard
            only = candidate(
                f"{self.decision_id}/0", arm=None, origin=origin, probability=1.0, text=speech.text
            )
            return [{**only, "guard": guard}]
        draw, rows = self.draw, []
        for i, arm in enumerate(draw.arms):
            taken = i == draw.index and self.mode != "observe"
            row = candidate(
                f"{self.decision_id}/{i}",
                arm=arm.name,
                origin=origin if taken or not self.texts else self.origin,
                probability=float(draw.probability[i]),
                text=self.texts[i] if self.texts else (speech.text if taken else None),
            )
            row |= {"nlp_score": float(draw.nlp[i]), "rec_score": float(draw.rec[i])}
            rows.append(row)
        return rows


class Planner:
    """Decide mode, persona, adapter and arm of a reply."""

    def __init__(self, minds: Minds, *, explore: float | None = None) -> None:
        self._minds, self._explore = minds, explore
        self._reranker = Reranker()

    def decided(self, plan: Plan) -> Plan:
        """Decide everything that comes before the writing."""
        plan = self._heard(plan)
        if plan.asked.model.startswith(plan.base_model):
            return self._named_model(plan)
        mode = plan.asked.mode or self._default_mode(plan)
        if mode == "control":
            return replace(plan, mode="control", delivered="control")
        draw = self._reranker.draw_arm(
            plan.bundle, plan.case(), agent=plan.party.agent_id, explore=may_explore(plan)
        )
        plan = replace(plan, mode=mode, draw=draw)
        if mode == "observe":
            return plan
        delivered = "pinned" if ":" in plan.asked.model else "full"
        return self._adapted(replace(plan, delivered=delivered))

    def remember(self, plan: Plan) -> None:
        """Keep what was heard, where the user agreed to be remembered."""
        party = plan.party
        if plan.mind is not None and party.known and party.allows("memory") and not plan.crisis:
            arm = plan.arm.name if plan.arm else None
            self._minds.keep(party.tenant, party.user_id, replace(plan.mind, last_arm=arm))

    def _heard(self, plan: Plan) -> Plan:
        party = plan.party
        router = plan.bundle.router
        mind = Mind()
        if party.known and party.allows("memory") and not party.protected:
            mind = self._minds.recall(party.tenant, party.user_id)
        users = router.users if router else None
        mind = mind.heard(plan.reading, now(), plan.episode.episode_id, users)
        pinned = plan.asked.model.removeprefix("rapport:")
        route = None
        if router and mind.vector is not None and party.allows("infer_affect"):
            route = router.route(mind.vector, plan.reading)
            if pinned != plan.asked.model:
                route = replace(route, persona_id=pinned, margin=1.0)
        return replace(plan, mind=mind, route=route)

    def _default_mode(self, plan: Plan) -> Mode:
        if plan.bundle.release_id is None:
            exploring = self._explore is not None and secrets.randbelow(10**6) < self._explore * 1e6
            return "arm_first" if exploring and may_explore(plan) else "observe"
        return "control" if plan.party.known and in_control(plan.party.user_id) else "arm_first"

    def _named_model(self, plan: Plan) -> Plan:
        _, _, name = plan.asked.model.partition(":")
        if not name:
            return plan
        adapter = (f"{plan.bundle.release_id}/{name}", str(plan.bundle.adapters[name]))
        return replace(plan, adapter=adapter, origin="adapter", delivered="pinned")

    def _adapted(self, plan: Plan) -> Plan:
        bundle, route = plan.bundle, plan.route
        withheld = plan.arm and bundle.library.answers(plan.party.agent_id, plan.arm.name)
        if withheld and plan.mode == "arm_first":
            return replace(plan, ready=plan.library_reply(), origin="library")
        if plan.party.protected:
            return plan
        adapter = bundle.adapter(
            route.persona_id if route else None, route.margin if route else 0.0
        )
        return replace(plan, adapter=adapter, origin="adapter" if adapter[0] else "base")


def may_explore(plan: Plan) -> bool:
    """Whether chance may choose: the user agreed, is not protected and not in distress."""
    party = plan.party
    calm = plan.reading.sentiment > DISTRESS
    return party.allows("experiment") and party.explorable and not party.protected and calm


def in_control(user_id: str) -> bool:
    """Whether a user belongs to the 5 % that are answered unpersonalised, sticky by hash."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=8, person=b"control").digest()
    return int.from_bytes(digest, "big") / 2**64 < CONTROL_SHARE
