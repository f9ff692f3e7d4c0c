"""What the demo tells of the gate at work: an honest gain, a planted harm, and the truth."""

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


def _line(shown: Shown, group: str) -> str:
    said = ", ".join(
        f"{each} {signed(shown.row(each).estimate, digits=2)}" for each in (AVERAGE, group)
    )
    true = ", ".join(signed(shown.true[each], digits=2) for each in (AVERAGE, group))
    word = "promoted" if shown.verdict.promoted else "REFUSED"
    return f"{shown.name:<8} {said} -> {word}  (true: {true})"
