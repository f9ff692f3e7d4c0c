"""`rapport release canary`: try a release on a part of the users, or as a shadow; look; end it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.cli.printing import console, print_rows
from rapport.cli.verdicts import signed
from rapport.errors import ConfigError, GateRefusedError
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.pipeline.canaries import Looked

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A judged candidate or a release to try.")
]
ShareOption = Annotated[
    float,
    typer.Option("--share", min=0.0, max=0.5, help="Of the users to try it on; 0: a shadow."),
]


@plainly
def canary(
    name: NameArgument = None,
    share: ShareOption = 0.1,
    days: Annotated[
        float,
        typer.Option("--days", min=0.01, help="After these it ends and the old release stays."),
    ] = 28.0,
    window: Annotated[
        float,
        typer.Option("--window", min=0.01, help="Hours from a user's first decision that count."),
    ] = 24.0,
    wait: Annotated[
        float, typer.Option("--wait", min=0.0, help="Hours after those in which rewards count.")
    ] = 48.0,
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, help="Reward units a group may seem to lose.")
    ] = 0.02,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Promote or roll back where the bounds say so; run it daily."),
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End it; the old release stays.")] = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Try a release on a part of the users, beside the one that serves; without ID: look at it.

    Who is dealt it is decided by hash; control, protected users and those who did not agree to
    experiments are not. Bounds hold however often one looks. Exit code 3 after a rollback.
    """
    from rapport.canaries import Rules, end, stated
    from rapport.lake import Lake
    from rapport.pipeline.canaries import act, look, start

    if sum((name is not None, judge, stop)) > 1:
        raise ConfigError("ID, --judge, --stop", name, "give one of them")
    opened, now = opened_home(home), datetime.now(UTC)
    lake = Lake(opened.lake)
    if name is not None:
        rules = Rules(share=share, days=days, window_h=window, wait_h=wait, margin=margin)
        made = start(opened, lake, name, rules, now=now)
        show(made.model_dump(mode="json"), as_json=json_)
        return
    if stop:
        ended = stated(opened.releases)
        end(opened.releases)
        show({"ended": ended.release if ended else None}, as_json=json_)
        return
    found = (act if judge else look)(opened, lake, now=now)
    _tell(found, as_json=json_)
    if judge and found is not None and found.decision == "roll back":
        raise typer.Exit(GateRefusedError.exit_code)


def _tell(found: "Looked | None", *, as_json: bool) -> None:
    if found is None or as_json:
        show(found.to_json() if found else {"canary": None}, as_json=as_json)
        return
    told, paper = found.canary, console()
    head = f"{told.release} against {told.against} since {told.since:%Y-%m-%d %H:%M} UTC"
    if found.shadow is not None:
        print_rows([_worded(found.shadow)], title=f"Shadow {head}")
        return
    verdict = found.verdict
    if verdict is not None and not verdict.users:
        hours = told.window_h + told.wait_h
        paper.print(
            f"Canary {head}: no user is settled yet; one is, {hours:g} hours after his first "
            "decision",
            highlight=False,
        )
    elif verdict is not None:
        print_rows([_row(row) for row in verdict.to_json()["rows"]], title=f"Canary {head}")
        rates = ", ".join(f"{side} {rate:.2f}" for side, rate in verdict.reporting.items())
        paper.print(
            f"{verdict.treated:,} of {verdict.users:,} settled users got the canary; answered "
            f"anything: {rates}",
            highlight=False,
        )
    paper.print(f"[bold]{found.decision}[/bold]", highlight=False)
    for reason in found.reasons:
        paper.print(f"  {reason}", highlight=False)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "compared": row["group"],
        "silence": row["silence"],
        "users": row["users"],
        "gain": signed(row["estimate"]),
        "surely above": signed(row["low"]),
        "surely below": signed(row["high"]),
        "asked": signed(row["bound"], digits=2),
        "judged": "yes" if row["judged"] else "too few",
    }


def _worded(shadow: dict[str, Any]) -> dict[str, Any]:
    """One line of numbers; intervals as words."""
    return {
        name: f"{signed(value['estimate'])} ({signed(value['low'])} to {signed(value['high'])})"
        if isinstance(value, dict)
        else value
        for name, value in shadow.items()
    }
