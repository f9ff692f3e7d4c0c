"""Explain one decision: its row and the release it names in, why it was taken out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapport.explanation.chances import Chances, chances
from rapport.explanation.contributions import Case
from rapport.explanation.groups import told_contributions, untold
from rapport.explanation.models import Found, find_policy
from rapport.explanation.reasons import (
    degraded_reasons,
    delivered_reason,
    guard_reason,
    mode_reason,
    no_chance,
    not_drawn,
)
from rapport.explanation.shape import Candidate, Chance, Contributions, Explanation, Model, Persona
from rapport.explanation.vetoes import drew_arms, off_at, safe_arms, vetoes
from rapport.explanation.words import summary
from rapport.governance.readable import readable, reads_affect
from rapport.policy.behaviour import draw
from rapport.policy.features import BoolArray, FloatArray, Layout, Situation
from rapport.policy.policy import Policy
from rapport.policy.recall import from_features, personas_in, shares_from_features
from rapport.store.switches import Switch

_STEPS = ("score", "share", "floor", "replayed")


@dataclass(frozen=True)
class Scored:
    """k candidates that took part in a draw; every array is [k]."""

    places: tuple[int, ...]
    """Of each among all the row's candidates."""
    nlp: FloatArray
    rec: FloatArray
    logged: FloatArray
    safe: BoolArray


def explain(
    row: Mapping[str, Any],
    releases: Path,
    *,
    affect: bool = True,
    history: Sequence[Switch] = (),
    logged: bool = True,
) -> Explanation:
    """Explain a decision. A few milliseconds, most of them to read the release's policy.

    Where the release is gone, or holds another policy than the one that decided, the explanation
    says so and tells what the row holds.

    Args:
        row: Of the table `decisions`.
        releases: Folder of releases.
        affect: Whether who asks may read what was inferred of people.
        history: Turns of the switches, oldest first.
        logged: False for what would be decided; such a row has no seed, and takes the likeliest.
    """
    opened = reads_affect(row, opened=affect)
    row = readable(row, opened=affect)
    scored = _scored(row)
    found = find_policy(releases, row) if scored else Found(None, "no policy was asked")
    situation = from_features(found.policy.layout, row) if found.policy else None
    policy = again = None
    if found.policy and scored:
        policy = _answering(found.policy, row, situation, scored)
        again = _again(policy, scored)
    why = not_drawn(row, scored=scored is not None)
    explanation = Explanation(
        decision_id=row["decision_id"] if logged else None,
        episode_id=row["episode_id"],
        ts=row["ts"].isoformat(),
        agent_id=row["agent_id"],
        source=row["source"],
        mode=mode_reason(row),
        delivered=delivered_reason(row),
        degraded=degraded_reasons(row),
        control=row["delivered"] == "control",
        summary="",
        persona=_persona(row),
        model=_model(row, found, policy),
        candidates=_candidates(row, scored, again),
        chance=_chance(row, again) if scored else None,
        not_drawn=why,
        contributions=_contributions(row, policy, situation, scored, again, opened=opened),
        vetoed=vetoes(row, off_at(history, row["ts"])),
    )
    return explanation.model_copy(update={"summary": summary(explanation)})


def _scored(row: Mapping[str, Any]) -> Scored | None:
    """Those that took part in a draw between scores; none where what was taken has none."""
    free = [
        (place, each)
        for place, each in enumerate(row["candidates"])
        if each["guard"] is None and None not in (each["nlp_score"], each["rec_score"])
    ]
    if row["action_index"] not in [place for place, _ in free]:
        return None
    safe = safe_arms(row["agent_id"])
    return Scored(
        places=tuple(place for place, _ in free),
        nlp=np.array([each["nlp_score"] for _, each in free]),
        rec=np.array([each["rec_score"] for _, each in free]),
        logged=np.array([each["probability"] for _, each in free]),
        safe=np.array([each["arm"] is None or each["arm"] in safe for _, each in free]),
    )


def _answering(
    policy: Policy, row: Mapping[str, Any], situation: Situation | None, scored: Scored
) -> Policy:
    """The policy itself, or the one before it where the gate withheld it from a persona.

    Finished texts are always ranked by the policy itself. Where the row does not tell the persona,
    it is whichever gives the logged probabilities again.
    """
    while policy.incumbent is not None and drew_arms(row):
        if situation is None:
            both = (policy, policy.incumbent)
            return min(both, key=lambda each: _again(each, scored).error)
        if policy.layout.personas[int(situation.posterior[0].argmax())] not in policy.withheld:
            break
        policy = policy.incumbent
    return policy


def _again(policy: Policy, scored: Scored) -> Chances:
    return chances(policy.behaviour, scored.nlp, scored.rec, safe=scored.safe, logged=scored.logged)


def _persona(row: Mapping[str, Any]) -> Persona | None:
    if row["persona_id"] is None:
        return None
    return Persona(
        persona_id=row["persona_id"],
        margin=row["persona_margin"],
        pinned=row["delivered"] == "pinned",
        probabilities=personas_in(row) or None,
    )


def _model(row: Mapping[str, Any], found: Found, policy: Policy | None) -> Model:
    told = {
        "release_id": row["release_id"],
        "policy_id": row["policy_id"],
        "found": policy is not None,
        "missing": found.missing,
    }
    if policy is None:
        return Model.model_validate(told)
    return Model.model_validate(
        {
            **told,
            **vars(policy.behaviour),
            "learner": policy.learner,
            "incumbent": policy is not found.policy,
        }
    )


def _candidates(
    row: Mapping[str, Any], scored: Scored | None, again: Chances | None
) -> list[Candidate]:
    steps = _steps(scored, again)
    safe = dict(zip(scored.places, scored.safe.tolist(), strict=True)) if scored else {}

    def one(place: int, each: Mapping[str, Any]) -> Candidate:
        guard = each["guard"]
        return Candidate(
            candidate_id=each["candidate_id"],
            arm=each["arm"],
            text=each["text"],
            origin=each["origin"],
            nlp=each["nlp_score"],
            rec=each["rec_score"],
            **steps.get(place, dict.fromkeys(_STEPS)),
            probability=each["probability"],
            safe=safe.get(place),
            drawn=place == row["action_index"],
            kept_out=guard_reason(guard) if guard else None,
        )

    return [one(place, each) for place, each in enumerate(row["candidates"])]


def _steps(scored: Scored | None, again: Chances | None) -> dict[int, dict[str, float | None]]:
    """How each candidate's scores became its probability, by its place."""
    if scored is None or again is None:
        return {}
    columns = [getattr(again, name).tolist() for name in _STEPS]
    return {
        place: dict(zip(_STEPS, values, strict=True))
        for place, *values in zip(scored.places, *columns, strict=True)
    }


def _chance(row: Mapping[str, Any], again: Chances | None) -> Chance:
    taken, seed = row["candidates"][row["action_index"]], row["rng_seed"]
    every = np.array([each["probability"] for each in row["candidates"]])
    # A policy without chance gives the same probabilities whether chance is allowed or not.
    refused = again is not None and again.allowed is False
    return Chance(
        arm=taken["arm"],
        candidate_id=taken["candidate_id"],
        propensity=row["propensity"],
        explored=bool(every[row["action_index"]] < every.max()),
        allowed=again.allowed if again else None,
        why_not=no_chance(row) if refused else None,
        seed_replays=None if seed is None else draw(every, seed) == row["action_index"],
        largest_difference=again.error if again else None,
    )


def _contributions(
    row: Mapping[str, Any],
    policy: Policy | None,
    situation: Situation | None,
    scored: Scored | None,
    again: Chances | None,
    *,
    opened: bool,
) -> Contributions:
    if scored is None:
        return untold("nothing was scored")
    if not opened:
        return untold(
            "what was inferred of this user may not be read: he did not agree to it, "
            "or the key has no scope 'affect'"
        )
    if policy is None or again is None:
        return untold("the policy that decided is not at hand")
    if situation is None:
        return untold("the row does not hold what was known of the user then")
    if again.allowed is None:
        return untold("the release does not give the logged probabilities again")
    case = Case(
        policy=policy,
        situation=situation,
        nlp=scored.nlp,
        rec=scored.rec,
        probability=scored.logged,
        safe=scored.safe,
        allowed=again.allowed,
        **_weighed(policy.layout, row, scored),
    )
    names = [row["candidates"][place]["candidate_id"] for place in scored.places]
    return told_contributions(case, names)


def _weighed(layout: Layout, row: Mapping[str, Any], scored: Scored) -> dict[str, Any]:
    """What each candidate was weighed as: an arm, or the arms that a text shows."""
    free = [row["candidates"][place] for place in scored.places]
    if drew_arms(row):
        return {"arms": layout.arm_index([each["arm"] for each in free]), "shares": None}
    shares = [shares_from_features(layout, row["agent_id"], each) for each in free]
    return {"arms": None, "shares": np.stack(shares)}
