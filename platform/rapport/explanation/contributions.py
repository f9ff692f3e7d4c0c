"""What persona, mood, curve and the rest did to a decision.

`nlp` is linear in what is known, before it is normalised, so each thing has an exact term of
`log nlp`; the words' own part is what the others leave of the logged value. `rec` is not linear:
there a thing's part is the difference to the same prediction without it, and what the things did
jointly beyond their own parts is told as such.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rapport.explanation.chances import probabilities
from rapport.explanation.shape import Group
from rapport.policy.context_model import NLP_FLOOR
from rapport.policy.features import (
    NO_ARM,
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Situation,
    states,
)
from rapport.policy.policy import NO_OPINION, Policy

KNOWN: tuple[Group, ...] = ("persona", "mood", "curve", "turn", "previous_arm")
_SAME = 1e-5  # rec comes from float32 products, whose order may differ between machines


@dataclass(frozen=True)
class Case:
    """What one decision was taken from; k free candidates."""

    policy: Policy
    situation: Situation
    nlp: FloatArray
    rec: FloatArray
    probability: FloatArray
    """[k] as logged; `nlp` and `rec` too."""
    safe: BoolArray
    allowed: bool
    """Whether chance was allowed."""
    arms: IntArray | None
    """[k] columns, where arms were drawn before a word was written."""
    shares: Float32Array | None
    """[k, A] what finished texts were weighed as, else."""


@dataclass(frozen=True)
class Part:
    """What one thing did; every array is [k]."""

    nlp: FloatArray | None
    rec: FloatArray | None
    probability: FloatArray


@dataclass(frozen=True)
class Parts:
    """What everything did."""

    groups: Mapping[Group, Part]
    always: FloatArray | None
    """Term of `log nlp` that remains where nothing is known."""
    rec_neutral: FloatArray
    rec_together: FloatArray
    """`rec = rec_neutral + the groups' parts + rec_together`."""
    floored: bool
    """Whether an nlp lies on its floor: then its words' part is a bound, not exact."""


def without(situation: Situation, group: Group) -> Situation:
    """The same decision with one thing unknown.

    Every persona equally likely and never heard; a message and a curve of no mood; a
    conversation's start; no reply before.
    """
    even = np.full_like(situation.posterior, 1.0 / situation.posterior.shape[1])
    nothing = np.zeros_like(situation.sentiment)
    changes: dict[Group, dict[str, Any]] = {
        "persona": {"posterior": even, "n_eff": nothing},
        "mood": {"sentiment": nothing, "emotion": np.zeros_like(situation.emotion)},
        "curve": {"curve": nothing},
        "turn": {"turn_index": np.zeros_like(situation.turn_index)},
        "previous_arm": {"previous_arm": np.full_like(situation.previous_arm, NO_ARM)},
    }
    return replace(situation, **changes[group])


def contributions(case: Case) -> Parts | None:
    """What each thing did; none where the policy does not give the logged `rec` again."""
    rec_of = _rec_of(case)
    if np.abs(rec_of(case.situation) - case.rec).max() > _SAME:
        return None
    nowhere = case.situation
    for group in KNOWN:
        nowhere = without(nowhere, group)
    terms = _terms(case, nowhere)
    always = terms.pop("always", None)
    groups: dict[Group, Part] = {}
    named: tuple[Group, ...] = (*KNOWN, "words") if terms else KNOWN
    for group in named:
        bare = None if group == "words" else rec_of(without(case.situation, group))
        groups[group] = _part(case, terms.get(group), bare)
    nothing = rec_of(nowhere)
    own = sum((part.rec for part in groups.values() if part.rec is not None), start=nothing)
    return Parts(
        groups=groups,
        always=always,
        rec_neutral=nothing,
        rec_together=case.rec - own,
        floored=bool(terms and (case.nlp <= NLP_FLOOR).any()),
    )


def _rec_of(case: Case) -> Callable[[Situation], FloatArray]:
    scorer, layout = case.policy.scorer, case.policy.layout
    if scorer is None:
        return lambda _: np.full(len(case.nlp), NO_OPINION)
    if case.arms is None:
        everything = np.ones((1, len(case.nlp)), dtype=bool)
        return lambda situation: scorer.rec(states(layout, situation), everything, case.shares)[0]
    mask = np.zeros((1, len(layout.arms)), dtype=bool)
    mask[0, case.arms] = True
    return lambda situation: scorer.rec(states(layout, situation), mask)[0, case.arms]


def _terms(case: Case, nowhere: Situation) -> dict[str, FloatArray]:
    """Exact terms of `log nlp` by group, [k], each against its mean; none where nlp is no model's.

    A finished text's fit was measured on the text, and a client may bring its own.
    """
    context = case.policy.context
    if context is None or case.arms is None:
        return {}
    given = context.terms(case.situation, nowhere)
    terms = {name: _centred(value[0, case.arms]) for name, value in given.items()}
    terms["words"] = _centred(np.log(case.nlp)) - sum(terms.values())
    return terms


def _part(case: Case, term: FloatArray | None, rec: FloatArray | None) -> Part:
    """What one thing did, from its term of `log nlp` and the `rec` without it."""
    nlp = case.nlp
    if term is not None:
        left = np.log(nlp) - term
        raised = np.exp(left - left.max())
        nlp = np.maximum(raised / raised.sum(), NLP_FLOOR)
    found = probabilities(
        case.policy.behaviour,
        nlp,
        case.rec if rec is None else rec,
        safe=case.safe,
        allowed=case.allowed,
    )
    return Part(
        nlp=term, rec=None if rec is None else case.rec - rec, probability=case.probability - found
    )


def _centred(value: FloatArray) -> FloatArray:
    return np.asarray(value - value.mean())
