"""An explanation as one paragraph, for whoever never read a line of this code."""

from collections.abc import Iterator

from rapport.explanation.chances import EXACT
from rapport.explanation.shape import Candidate, Chance, Contribution, Explanation, Model, Persona

_NAMES = {
    "persona": "the persona",
    "mood": "the message's mood",
    "curve": "the sentiment curve",
    "turn": "the place in the conversation",
    "previous_arm": "the reply before",
    "words": "the message's words",
}
_WORTH_SAYING = 0.005
"""Of a probability, and of rec."""


def name_of(group: str) -> str:
    """What a group of things known is called among people."""
    return _NAMES.get(group, "what always holds for this agent")


def summary(told: Explanation) -> str:
    """Tell a decision in one paragraph."""
    return " ".join(_sentences(told))


def _sentences(told: Explanation) -> Iterator[str]:
    if told.chance is None:
        yield told.not_drawn or ""
        yield f"Mode {told.mode.code}: {told.mode.meaning}."
        yield f"Delivered as {told.delivered.code}: {told.delivered.meaning}."
    else:
        yield from _drawn(told, told.chance)
    for reason in told.degraded:
        yield f"Degraded ({reason.code}): {reason.meaning}."


def _drawn(told: Explanation, chance: Chance) -> Iterator[str]:
    if told.persona is not None:
        yield _who(told.persona)
    yield _choice(told, chance)
    yield from _scores(told, chance)
    yield from _without(told, chance)
    if told.mode.code == "observe":
        yield "Mode observe: the plain reply goes out and this is only logged."
    elif told.delivered.code not in ("full", "pinned"):
        yield f"Delivered as {told.delivered.code}: {told.delivered.meaning}."
    kept = sum(each.kept_out is not None for each in told.candidates)
    if kept:
        yield f"{kept} more stayed out of the draw."


def _choice(told: Explanation, chance: Chance) -> str:
    count = sum(each.kept_out is None for each in told.candidates)
    named, share = _called(_taken(told)), f"{chance.propensity:.1%}"
    if told.decision_id is None:
        return f"Of {count} possible replies {named!r} is the likeliest, with {share}."
    verb = "would have drawn" if told.mode.code == "observe" else "drew"
    return (
        f"Among {count} possible replies the policy {verb} {named!r}, which had a probability of "
        f"{share}{_compared(told, chance)}."
    )


def _who(persona: Persona) -> str:
    if persona.pinned:
        return f"As was asked, the user was taken for {persona.persona_id}."
    return (
        f"The user was taken for {persona.persona_id}, whose probability lay "
        f"{persona.margin or 0:.2f} above the next persona's."
    )


def _compared(told: Explanation, chance: Chance) -> str:
    best = max(told.candidates, key=lambda each: each.probability)
    if chance.explored:
        return f"; chance took it, the likeliest was {_called(best)!r} with {best.probability:.1%}"
    return ", the most of all" if len(told.candidates) > 1 else ""


def _scores(told: Explanation, chance: Chance) -> Iterator[str]:
    taken, model = _taken(told), told.model
    fit = "It fits the context with" if taken.nlp != 1 else "Its fit was not measured and counts"
    scores = f"{fit} {taken.nlp:.3f}; its expected reward counts {taken.rec:.3f}"
    if not model.found:
        yield f"{scores}; how both were weighed is not known here any more: {model.missing}."
        return
    yield f"{scores}; {_powers(model)}."
    if (chance.largest_difference or 0.0) > EXACT:
        yield (
            "The release on disk does not give the logged probabilities again (they differ by up "
            f"to {chance.largest_difference:.2g}), so menu or code have changed since."
        )
    if chance.why_not:
        yield f"Nothing was left to chance: {chance.why_not}."
    elif model.epsilon and taken.floor:
        yield (
            f"Exploration holds every safe reply at {taken.floor:.2%} or more; by its score alone "
            f"this one would have {taken.share:.1%}."
        )


def _powers(model: Model) -> str:
    if not model.a:
        return f"the fit does not count with this policy, the reward with power {model.b:.3g}"
    return f"they count with the powers {model.a:.3g} and {model.b:.3g}"


def _without(told: Explanation, chance: Chance) -> Iterator[str]:
    parts = told.contributions
    if parts.why_none:
        yield f"What persona and mood did cannot be told: {parts.why_none}."
        return
    effects = sorted(
        ((_effect(each, chance.candidate_id), each.group) for each in parts.groups),
        key=lambda pair: -abs(pair[0]),
    )
    said = [
        f"without {name_of(group)} {max(chance.propensity - effect, 0):.1%}"
        for effect, group in effects
        if abs(effect) >= _WORTH_SAYING
    ]
    if said:
        yield f"Its probability would have been: {'; '.join(said)}."
    else:
        yield "Nothing that was known moved its probability by half a per cent."
    yield from _earned(told, chance)


def _earned(told: Explanation, chance: Chance) -> Iterator[str]:
    """What moved its expected reward most."""
    earned = [
        (effect.rec, part.group)
        for part in told.contributions.groups
        for effect in part.candidates
        if effect.candidate_id == chance.candidate_id and effect.rec is not None
    ]
    most, group = max(earned, key=lambda pair: abs(pair[0]), default=(0.0, "persona"))
    if abs(most) >= _WORTH_SAYING:
        yield f"What counted most for its expected reward is {name_of(group)}: {most:+.3f}."


def _effect(part: Contribution, candidate_id: str) -> float:
    return next(e.probability or 0.0 for e in part.candidates if e.candidate_id == candidate_id)


def _taken(told: Explanation) -> Candidate:
    return next(each for each in told.candidates if each.drawn)


def _called(candidate: Candidate) -> str:
    return candidate.arm or candidate.candidate_id
