"""What the demo prints of the gate at work: an honest gain, a planted harm, and the truth."""

from rapport.cli.printing import print_rows
from rapport.cli.verdicts import signed
from rapport.pipeline.catching import AVERAGE, Catch, Shown


def catch_rows(catch: Catch) -> list[dict[str, str]]:
    """One row a policy and group: the gate's estimate and bound, and what is true."""
    return [
        {
            "policy": shown.name,
            "group": group,
            "estimated": signed(shown.row(group).estimate),
            "lower bound": signed(shown.row(group).low),
            "true": signed(true),
        }
        for shown in (catch.honest, catch.harmful)
        for group, true in shown.true.items()
    ]


def catch_lines(catch: Catch) -> list[str]:
    """One line a policy: `average +.03, wry-03 -.05 -> REFUSED`, true values beside."""
    worst = min(
        (group for group in catch.honest.true if group != AVERAGE),
        key=lambda group: catch.honest.row(group).estimate or 0.0,
    )
    return [_line(catch.honest, worst), _line(catch.harmful, catch.victim)]


def print_catch(catch: Catch) -> None:
    """Print both policies with what the gate saw and what is true."""
    from rich.console import Console

    console = Console()
    print_rows(catch_rows(catch), title="The gate at work: two policies from the same log")
    for line in catch_lines(catch):
        console.print(line, highlight=False)
    for reason in catch.harmful.verdict.reasons:
        console.print(f"  refused because: {reason}", highlight=False)


def _line(shown: Shown, group: str) -> str:
    said = ", ".join(
        f"{each} {signed(shown.row(each).estimate, digits=2)}" for each in (AVERAGE, group)
    )
    true = ", ".join(signed(shown.true[each], digits=2) for each in (AVERAGE, group))
    word = "promoted" if shown.verdict.promoted else "REFUSED"
    return f"{shown.name:<8} {said} -> {word}  (true: {true})"
