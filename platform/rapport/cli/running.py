"""What `rapport run` prints for people: a line a job, what was found, and a colleague's advice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rapport.cli.carding import say_card
from rapport.cli.printing import console, print_rows
from rapport.cli.stage_lines import say, stage_done, stage_row, stage_skipped
from rapport.cli.verdicts import print_verdict
from rapport.home import Home

if TYPE_CHECKING:
    from rapport.report.advice import Advice

Result = Mapping[str, Any]
_CLEAR = 3
"""Differences of a persona that are shown."""


def print_run(results: Iterable[Result]) -> None:
    """Print each job as it ends, with the personas, the verdict and the release it made."""
    for result in results:
        job = result["job"]
        if "skipped" in result:
            stage_skipped(job, result["skipped"])
            continue
        stage_done(stage_row(job, result.get("seconds", 0.0), result))
        if result.get("note"):
            say(f"  {result['note']}")
        if result.get("unchanged"):
            continue
        if job == "segment_personas":
            print_personas(result)
        if "reporting_rates" in result:
            print_verdict(result, title=f"The gate on candidate {result['candidate']}")
            say_card(result)
        if result.get("release"):
            say(f"  release {result['release']}")


def print_personas(result: Result) -> None:
    """Print the cards of the personas that were found."""
    if result["k"] == 1:
        say("  The data tell no groups apart: everybody counts as one persona.")
        return
    rows = [persona_row(card) for card in result["personas"]]
    print_rows(rows, title=f"Personas: {result['k']}, chosen from the data")


def persona_row(card: Mapping[str, Any]) -> dict[str, Any]:
    """One line of a card: its words, what the group does, and which replies it takes how."""
    liked = sorted(card["reactions"], key=lambda found: -found["difference"])
    clear = [found for found in card["events"] if found["low"] > 0 or found["high"] < 0]
    return {
        "persona": card["persona_id"],
        "users": card["users"],
        "writes more often": ", ".join(term["term"] for term in card["terms"][:5]),
        "measured (everybody)": ", ".join(
            f"{found['name']} {found['mean']:.3g} ({found['everybody']:.3g})" for found in clear
        ),
        "reward above everybody's": _differences(liked[:_CLEAR], sign=1),
        "below": _differences(liked[::-1][:_CLEAR], sign=-1),
    }


def _differences(found: Sequence[Mapping[str, Any]], *, sign: int) -> str:
    clear = [one for one in found if sign * one["low"] > 0 and sign * one["high"] > 0]
    return ", ".join(f"{one['name']} {one['difference']:+.2f}" for one in clear)


def print_advice(home: Home, *, tenant: str = "default") -> None:
    """Print what the log lacks, what follows and what to do, as the report's page has it."""
    from rapport.lake import Lake
    from rapport.report.advice import advise
    from rapport.report.facts import Facts

    facts = Facts(home, Lake(home.lake), tenant)
    found = advise(facts)
    if found:
        console().print("\n[bold]Advice on this log[/bold]")
    for advice in found:
        _print_one(advice)
    serves = ", `rapport serve` answers with its release" if facts.release else ""
    if facts.lake.rows("turns"):
        say(f"\nNext: `rapport report` writes the page about this log{serves}.")


def _print_one(advice: "Advice") -> None:
    say(f"* {advice.finding}: {advice.follows}")
    say(f"  what to do: {advice.remedy}")
