"""A gate's verdict for people: what was compared, how sure it is, and what it rests on."""

from collections.abc import Mapping
from typing import Any

from rapport.cli.printing import console, print_rows

Verdict = Mapping[str, Any]
_MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}
_LEGEND = (
    "[dim]By doubly robust estimates, intervals over users. Lower bounds, one-sided 95 %: as told; "
    "with each answer standing for the silent ones like it; with -1 for every silence.[/dim]"
)


def print_verdict(verdict: Verdict, *, title: str) -> None:
    """Print a verdict, as `verdict.json` holds it, with everything it rests on."""
    paper = console()
    print_rows([_row(row) for row in verdict["rows"]], title=title)
    for line in (_LEGEND, _verdict_line(verdict), *_lines(verdict)):
        paper.print(line, highlight=False)
    for note in verdict.get("notes", ()):
        paper.print(f"[dim]Note: {note}[/dim]", highlight=False)
    if verdict.get("next"):
        told = "What its replies are worth, a canary tells; look at it daily with --judge:"
        paper.print(f"{told}\n  {verdict['next']}", highlight=False)


def signed(value: float | None, *, digits: int = 3) -> str:
    """A gain as `+.031`; a dash for none."""
    return "-" if value is None else f"{value:+.{digits}f}".replace("0.", ".", 1)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One comparison: its gain, and the lower bound under every reading of silence."""
    lows = [row["low"], *(gain["low"] for gain in (row.get("silence") or {}).values())]
    bounds = "  ".join(signed(low) for low in lows)
    group = row["group"] if row["estimator"] == "dr" else f"{row['group']} ({row['estimator']})"
    return {
        "compared": group,
        "n": row["n"] or None,
        "gain": signed(row["estimate"]),
        "lower bounds": row["note"] or bounds,
        "above": signed(row["bound"], digits=2),
        "": _MARKS[row["status"]],
    }


def _verdict_line(verdict: Verdict) -> str:
    if verdict["promoted"]:
        return "[bold]Verdict: promoted[/bold]"
    line = "[bold]Verdict: REFUSED[/bold]  " + "; ".join(verdict["reasons"])
    if verdict.get("needed_n"):
        line += f"\nAbout {verdict['needed_n']:,} decisions of gate users would do."
    return line


def _lines(verdict: Verdict) -> list[str]:
    settings, sample, errors = verdict["settings"], verdict["sample"], verdict["error_rates"]
    rates = ", ".join(f"{arm} {rate:.2f}" for arm, rate in verdict["reporting_rates"].items())
    return [
        f"Value by DR: {_value(verdict, 'dr')}; logging policy {_value(verdict, 'logging')}",
        *_silent_values(verdict),
        *_changed(verdict),
        f"Margin {settings['margin']:g} a group, {settings['drift']:g} against the first release "
        f"and control; {verdict['n']:,} decisions of gate users, {verdict['reported']:,} reported",
        f"ESS {sample['ess']:.0f} of {sample['ess_needed']:.0f} needed, largest weight "
        f"{sample['max_weight']:.1f} of {sample['max_weight_allowed']:g} allowed",
        f"The gate errs: a policy no better is promoted in at most {errors['false_promotion']:.0%},"
        f" a gain of {errors['detectable_gain']:.3f} is seen in 80 %, one as far from the log and "
        f"worth the same is refused in {errors['false_refusal']:.0%}",
        f"Reported, by arm: {rates}",
    ]


def _changed(verdict: Verdict) -> list[str]:
    """What kind of change it is; verdicts of before say nothing of it."""
    if "change" not in verdict or "generator" not in verdict:
        return []
    return [
        f"Changes: {verdict['change']}; the replies of this log beside the candidate's own: "
        f"{verdict['generator']}"
    ]


def _silent_values(verdict: Verdict) -> list[str]:
    names = ("weighted", "at worst")
    return [
        f"  with silence {name}: {_value(verdict, f'dr, silence {name}')}; logging policy "
        f"{_value(verdict, f'logging, silence {name}')}"
        for name in names
        if f"dr, silence {name}" in verdict["values"]
    ]


def _value(verdict: Verdict, name: str) -> str:
    found = verdict["values"][name]
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.3f}"
