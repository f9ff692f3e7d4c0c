"""`rapport explain DECISION_ID`: why a decision was taken, in words and tables."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.cli.printing import console, print_rows

if TYPE_CHECKING:
    from rapport.explanation.shape import Candidate, Explanation


@plainly
def explain(
    decision_id: Annotated[
        str, typer.Argument(metavar="DECISION_ID", help="Of a reply, or of a row of `decisions`.")
    ],
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say why a decision was taken: its candidates, both factors, chance, persona and vetoes.

    The numbers come from the release that decided; where it is gone, from what was logged.
    """
    from rapport.config import JobConfig, resolve
    from rapport.explanation.lookup import explain_stored
    from rapport.lake import lake_of

    lake = lake_of(resolve(JobConfig, flags={"home": home}))
    told = explain_stored(opened_home(home), lake, decision_id)
    if json_:
        sys.stdout.write(told.model_dump_json() + "\n")
    else:
        print_explanation(told)


def print_explanation(told: "Explanation") -> None:
    """Print an explanation for people."""
    console().print(told.summary, highlight=False, markup=False)
    print_rows(candidate_rows(told), title="Candidates")
    effects = effect_rows(told)
    if effects:
        print_rows(effects, title="What was known, and what it did to the one that was drawn")
    if told.contributions.note:
        console().print(f"Note: {told.contributions.note}.", highlight=False, markup=False)
    if told.vetoed:
        rows = [each.model_dump(include={"what", "name", "by", "reason"}) for each in told.vetoed]
        print_rows(rows, title="What could not be chosen or used")


def candidate_rows(told: "Explanation") -> list[dict[str, Any]]:
    """One row a candidate, likeliest first."""
    every = sorted(told.candidates, key=lambda each: -each.probability)
    return [
        {
            "": "->" if each.drawn else "",
            "reply": each.arm or each.candidate_id,
            "fits (nlp)": each.nlp,
            "earns (rec)": each.rec,
            "score": each.score,
            "by score": each.share,
            "by chance": each.floor,
            "probability": each.probability,
            "kept out": _kept_out(each),
        }
        for each in every
    ]


def _kept_out(candidate: "Candidate") -> str | None:
    if candidate.kept_out:
        return candidate.kept_out.meaning
    return (
        "never by chance alone" if candidate.safe is False and not candidate.probability else None
    )


def effect_rows(told: "Explanation") -> list[dict[str, Any]]:
    """One row a thing known, with its effect on the candidate that was drawn."""
    from rapport.explanation.words import name_of

    drawn = told.chance.candidate_id if told.chance else None
    return [
        {
            "known": name_of(part.group),
            "value": part.value,
            "log nlp": effect.nlp,
            "rec": effect.rec,
            "probability": effect.probability,
        }
        for part in told.contributions.groups
        for effect in part.candidates
        if effect.candidate_id == drawn
    ]
