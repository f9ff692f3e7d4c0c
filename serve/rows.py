"""What is logged of a plan and what was said under it, and what the response tells of both."""

import math
import time
from collections.abc import Mapping
from typing import Any

from rapport.governance.redaction import redact
from rapport.policy.recall import SENTIMENT, to_features
from rapport.schema import CRISIS_FACET, CRISIS_TEXT
from rapport.store import MindState

from .deferral import DEFERRED
from .plan import Plan
from .records import candidate, joined_reasons, now, turn_row
from .reranker import Draw
from .speech import Speech


def decision_row(plan: Plan, speech: Speech) -> dict[str, Any]:
    """Build the row of the decisions table; the same id before and after the reply."""
    candidates = _candidates(plan, speech)
    index = plan.draw.index if plan.draw and len(candidates) > 1 else 0
    route = plan.route
    return {
        **plan.party.event(now()),
        "decision_id": plan.decision_id,
        "inference_id": plan.decision_id,
        "episode_id": plan.episode.episode_id,
        "turn_index": plan.episode.turn_index + 1,
        "persona_id": route.persona_id if route else None,
        "persona_version": plan.bundle.release_id if route else None,
        "persona_margin": route.margin if route else None,
        "features": _features(plan, speech),
        "mode": plan.mode,
        "delivered": speech.delivered,
        "candidates": candidates,
        "action_index": index,
        "propensity": candidates[index]["probability"],
        "propensity_source": "logged",
        "explored": bool(plan.draw and plan.draw.explored and plan.mode != "observe"),
        "policy_id": (plan.draw and plan.draw.policy_id) or plan.bundle.policy.id,
        "policy_version": plan.bundle.release_id,
        "release_id": plan.bundle.release_id,
        "rng_seed": plan.draw.seed if plan.draw and len(candidates) > 1 else None,
        "latency_ms": (time.monotonic() - plan.started) * 1000,
        "tokens_in": speech.usage.tokens_in if speech.usage.known else None,
        "tokens_out": speech.usage.tokens_out if speech.usage.known else None,
        "degraded": joined_reasons(
            plan.degraded, plan.draw.degraded if plan.draw else None, speech.degraded
        ),
    }


def _features(plan: Plan, speech: Speech) -> dict[str, float]:
    told = _known(plan) if plan.party.allows("infer_affect") else {}
    cost = speech.usage.cost
    told |= {} if cost is None else {"cost": cost}
    told |= {} if plan.crisis else plan.noted
    told |= plan.event.terms() if plan.event and not plan.crisis else {}
    return {**told, DEFERRED: 1.0} if plan.deferred else told


def _known(plan: Plan) -> dict[str, float]:
    """The message's sentiment; where a policy was asked, all of what it knew."""
    if plan.draw is None or plan.draw.policy_id is None:
        return {SENTIMENT: plan.reading.sentiment} if plan.reading.readable else {}
    return to_features(plan.bundle.layout, plan.case())


def user_turn(plan: Plan) -> dict[str, Any]:
    """Build the user's turn; in a crisis its text is not kept, the row is."""
    columns: dict[str, Any] = {"facet": CRISIS_FACET} if plan.crisis else {}
    if not plan.crisis and plan.affect_read:
        columns["sentiment"] = plan.reading.sentiment
    columns |= plan.event.turn_id("user") if plan.event else {}
    text = CRISIS_TEXT if plan.crisis else redact(plan.said)
    return turn_row(plan.party, plan.episode, role="user", text=text, **columns)


def reply_turn(plan: Plan, speech: Speech) -> dict[str, Any]:
    """Build the reply's turn; its text is null where the client says it and did not tell.

    A call of a tool shows no arm, whatever was drawn, and nothing is to learn one from it.
    """
    arm = plan.arm.name if plan.arm and speech.delivered != "tool_call" else None
    columns = plan.event.turn_id("assistant") if plan.event else {}
    text = speech.text or None
    return turn_row(plan.party, plan.episode, role="assistant", text=text, arm=arm, **columns)


def mind_after(plan: Plan, encoder_id: str) -> list[MindState]:
    """What is to be kept of a user after an exchange: nothing where he did not agree to it."""
    party, mind = plan.party, plan.mind
    agreed = party.known and party.allows("memory") and not plan.crisis
    if not plan.asked.speaks:  # what he said last was taken in when he said it
        return []
    if mind is None or mind.last_ts is None or not agreed:
        return []
    return [
        MindState(
            tenant=party.tenant,
            user_id=party.user_id,
            encoder_id=encoder_id,
            last_ts=mind.last_ts,
            vector=mind.vector,
            episode_id=mind.episode_id,
            curve=(mind.curve.value, mind.curve.scale, mind.curve.count),
            last_arm=plan.arm.name if plan.arm else None,
        )
    ]


def response_block(plan: Plan, speech: Speech) -> dict[str, Any]:
    """Build the `rapport` object of the response as things stand."""
    row = decision_row(plan, speech)
    names = ("decision_id", "episode_id", "persona_id", "mode", "policy_version", "release_id")
    block = {name: row[name] for name in names}
    chosen = row["candidates"][row["action_index"]]
    block |= {
        "arm": plan.arm.name if plan.arm else None,
        "origin": chosen["origin"],
        "delivered": row["delivered"],
        "propensity": row["propensity"],
        "explored": row["explored"],
        "sentiment": plan.reading.sentiment if plan.affect_read else None,
        "degraded": row["degraded"],
        "guard": CRISIS_FACET if plan.crisis else speech.guard,
    }
    if plan.leaves_nothing:
        block["decision_id"] = None
    if plan.unlogged:
        block |= {"degraded": "store", "sentiment": None}
    if plan.asked.explain:
        block |= _explained(plan, row)
    return block


def _explained(plan: Plan, row: Mapping[str, Any]) -> dict[str, Any]:
    """What else is told to who asks: what was drawn from, and where the sentiment curve stands."""
    shown = ("arm", "text", "nlp_score", "rec_score", "probability", "guard")
    candidates = [
        {**{name: each[name] for name in shown}, "drawn": place == row["action_index"]}
        for place, each in enumerate(row["candidates"])
    ]
    read = plan.mind is not None and plan.party.allows("infer_affect") and not plan.unlogged
    return {
        "candidates": candidates,
        "curve": plan.mind.curve.value if plan.mind and read else None,
    }


def _candidates(plan: Plan, speech: Speech) -> list[dict[str, Any]]:
    origin = speech.origin or plan.origin
    if plan.crisis or plan.draw is None:
        guard = CRISIS_FACET if plan.crisis else speech.guard
        only = candidate(
            f"{plan.decision_id}/0",
            arm=None,
            origin=origin,
            probability=1.0,
            text=speech.text or None,
        )
        return [{**only, "guard": guard}]
    return [_candidate(plan, plan.draw, i, speech) for i in range(len(plan.draw.options))]


def _candidate(plan: Plan, draw: Draw, place: int, speech: Speech) -> dict[str, Any]:
    option = draw.options[place]
    taken = place == draw.index and plan.mode != "observe"
    origin = option.origin or plan.origin
    row = candidate(
        option.action_id or f"{plan.decision_id}/{place}",
        arm=option.arm.name if option.arm else None,
        origin=(speech.origin or origin) if taken else origin,
        probability=float(draw.probability[place]),
        text=speech.text or None if taken else option.text,
    )
    nlp, rec = float(draw.nlp[place]), float(draw.rec[place])
    return {
        **row,
        "nlp_score": None if math.isnan(nlp) else nlp,
        "rec_score": None if math.isnan(rec) else rec,
        "features": dict(option.features),
        "guard": option.guard,
    }
