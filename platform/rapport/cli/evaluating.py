"""`rapport evaluate`: measure what a log or a model can do."""

from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.cli.printing import print_rows
from rapport.cli.reporting import TenantOption
from rapport.home import Home
from rapport.runner import show

evaluate_app = typer.Typer(help="Measure, with n and intervals.", no_args_is_help=True)


@evaluate_app.callback()
def _evaluate() -> None:
    """Measure, with n and intervals."""


@evaluate_app.command(epilog="Example: rapport evaluate power --effect 0.05")
@plainly
def power(
    effect: Annotated[
        float, typer.Option("--effect", help="Gain or harm in reward units a decision.")
    ] = 0.02,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say which gain or harm this log can show, and when a stated one becomes decidable."""
    from rapport.errors import ConfigError, TooLittleDataError
    from rapport.lake import Lake
    from rapport.report.facts import Facts
    from rapport.report.proof import as_frame, proof_of

    if effect <= 0:
        raise ConfigError("--effect", effect, "state a gain or harm above 0 reward units")
    opened = Home(home)
    found = proof_of(Facts(opened, Lake(opened.lake), tenant), effect)
    if found is None:
        raise TooLittleDataError("users with feedback on a decision", 0, 2)
    rows = as_frame(found).to_dicts()
    if json_:
        show({"effect": effect, "off_policy": found.off_policy, "groups": rows}, as_json=True)
    else:
        print_rows(rows, title=f"What shows in 80 % of cases; when {effect:g} does")
