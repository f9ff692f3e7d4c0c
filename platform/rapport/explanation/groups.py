"""Contributions in the shape that is told: each thing that was known, with its value."""

from collections.abc import Sequence

from rapport.explanation.contributions import Case, Part, contributions
from rapport.explanation.shape import Contribution, Contributions, Effect, Group
from rapport.policy.features import EMOTION_GROUPS, NO_ARM, FloatArray, Situation

_NEUTRAL: dict[Group, str] = {
    "persona": "every persona equally likely, nothing heard of the user yet",
    "mood": "a message without sentiment or emotion",
    "curve": "a curve at 0",
    "turn": "the first turn of a conversation",
    "previous_arm": "no reply before",
    "words": "an average message",
    "always": "-",
}


def untold(why: str) -> Contributions:
    """No contributions, and why."""
    return Contributions(nlp_method="none", rec_method="none", why_none=why)


def told_contributions(case: Case, names: Sequence[str]) -> Contributions:
    """What each thing did, by the candidates' names."""
    found = contributions(case)
    if found is None:
        return untold("the policy on disk gives other expected rewards than were logged")
    values = _values(case)
    groups = [
        Contribution(
            group=group,
            value=values[group],
            neutral=_NEUTRAL[group],
            candidates=_effects(part, names),
        )
        for group, part in found.groups.items()
    ]
    if found.always is not None:
        effects = [
            Effect(candidate_id=name, nlp=float(term), rec=None, probability=None)
            for name, term in zip(names, found.always, strict=True)
        ]
        always = values["always"]
        groups.append(Contribution(group="always", value=always, neutral="-", candidates=effects))
    return Contributions(
        nlp_method="none" if found.always is None else "exact_terms",
        rec_method="none" if case.policy.scorer is None else "difference_to_neutral",
        why_none=None,
        groups=groups,
        rec_neutral=_by_name(names, found.rec_neutral),
        rec_together=_by_name(names, found.rec_together),
        note=_note(case, floored=found.floored),
    )


def _note(case: Case, *, floored: bool) -> str | None:
    if case.arms is None:
        return "nlp was measured on each finished text, or given by the client, so it has no terms"
    if case.policy.scorer is None:
        return "no reward model was trained: rec is the same for all, and personas change nothing"
    if floored:
        return "an nlp lies on its floor, so the words' term there is a bound"
    return None


def _effects(part: Part, names: Sequence[str]) -> list[Effect]:
    return [
        Effect(
            candidate_id=name,
            nlp=None if part.nlp is None else float(part.nlp[i]),
            rec=None if part.rec is None else float(part.rec[i]),
            probability=float(part.probability[i]),
        )
        for i, name in enumerate(names)
    ]


def _values(case: Case) -> dict[str, str]:
    known: Situation = case.situation
    layout, shares = case.policy.layout, known.posterior[0]
    likeliest = layout.personas[int(shares.argmax())]
    before = int(known.previous_arm[0])
    heard = f"{likeliest} {shares.max():.2f}, from {known.n_eff[0]:.3g} turn(s) that still count"
    return {
        "persona": heard,
        "mood": f"sentiment {known.sentiment[0]:+.2f}{_strongest(known)}",
        "curve": f"{known.curve[0]:+.2f}",
        "turn": f"turn {int(known.turn_index[0])}",
        "previous_arm": "none" if before == NO_ARM else layout.arms[before],
        "words": "what was said",
        "always": f"agent {layout.agents[int(known.agent[0])]}: what fits whatever is said",
    }


def _strongest(known: Situation) -> str:
    """The emotion heard most, where any was."""
    shares = known.emotion[0]
    if not shares.any():
        return ""
    return f", {list(EMOTION_GROUPS)[int(shares.argmax())]} {shares.max():.2f}"


def _by_name(names: Sequence[str], values: FloatArray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
