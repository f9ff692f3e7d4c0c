"""`rapport explain DECISION_ID`: why a decision was taken, in words and tables."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.cli.printing import console, print_rows

if TYPE_CHECKING:
    from rapport.explanation.shape import Candidate, Explanation


@plainly
def explain(
    decision_id: Annotated[
        str,
        typer.Argument(
            metavar="DECISION_ID",
            help="Of a reply, or of a row of `decisions`; `last`: the newest.",
        ),
    ],
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say why a decision was taken: its candidates, both factors, chance, persona and vetoes.

    The numbers come from the release that decided; where it is gone, from what was logged.
    """
    from rapport.config import JobConfig, resolve
    from rapport.explanation.lookup import explain_stored
    from rapport.home import home_of
    from rapport.lake import lake_of

    config = resolve(JobConfig, flags={"home": home})
    told = explain_stored(home_of(config, make=False), lake_of(config), decision_id, tenant=tenant)
    if json_:
        sys.stdout.write(told.model_dump_json() + "\n")
    else:
        print_explanation(told)


def print_explanation(told: "Explanation") -> None:
    """Print an explanation for people."""
    console().print(told.summary, highlight=False, markup=False)
    if told.chance is None and len(told.candidates) == 1:
        text = told.candidates[0].text
        if text:
            console().print(f"Reply: {text}", highlight=False, markup=False)
        return
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
    texts = sum(each.text is not None for each in every) > 1
    return [
        {
            "": "->" if each.drawn else "",
            "reply": each.arm or each.candidate_id,
            **({"text": _cut(each.text)} if texts else {}),
            "fits (nlp)": fixed(each.nlp),
            "earns (rec)": fixed(each.rec),
            "by score": percent(each.share),
            "by chance": percent(each.floor),
            "probability": percent(each.probability),
            "kept out": _kept_out(each),
        }
        for each in every
    ]


def percent(share: float | None, sign: str = "") -> str | None:
    """A share as per cent to one tenth."""
    return None if share is None else f"{share:{sign}z.1%}"


def fixed(value: float | None, sign: str = "") -> str | None:
    """A number to three decimals."""
    return None if value is None else f"{value:{sign}z.3f}"


def _cut(text: str | None, width: int = 48) -> str | None:
    return text if text is None or len(text) <= width else f"{text[:width]}..."


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
            "log nlp": fixed(effect.nlp, sign="+"),
            "rec": fixed(effect.rec, sign="+"),
            "probability": percent(effect.probability, sign="+"),
        }
        for part in told.contributions.groups
        for effect in part.candidates
        if effect.candidate_id == drawn
    ]
