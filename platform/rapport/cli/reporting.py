"""`rapport report`: the page about a home's log."""

from pathlib import Path
from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.home import Home
from rapport.runner import show


@plainly
def report(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; default: report in the home.")
    ] = None,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Write one HTML page: what the log holds and proves, who its people are, what was learned."""
    from rapport.lake import Lake
    from rapport.report.facts import Facts
    from rapport.report.page import write_report

    opened = Home(home)
    page = write_report(Facts(opened, Lake(opened.lake), tenant), out or opened.root / "report")
    show({"page": str(page), "plots": str(page.parent / "plots")}, as_json=json_)
