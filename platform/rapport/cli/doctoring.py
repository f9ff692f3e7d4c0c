"""`rapport doctor`: what is missing on this machine, and how to mend it."""

from dataclasses import asdict
from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.runner import show

_MARKS = {"ok": "[green]✓[/green]", "note": "[yellow]![/yellow]", "fault": "[red]✗[/red]"}


@plainly
def doctor(
    port: Annotated[int, typer.Option("--port", help="Port you want to serve on.")] = 8000,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Look at this machine and this home; exit code 1 where something will fail."""
    from rich.console import Console

    from rapport.cli.checkups import examine

    console, findings = Console(), []
    for finding in examine(home, port=port):
        findings.append(finding)
        if not json_:
            line = f"{_MARKS[finding.status]} {finding.check:<13} {finding.found}"
            console.print(line, highlight=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"                {finding.remedy}", highlight=False, style="dim")
    faults = sum(finding.status == "fault" for finding in findings)
    if json_:
        show({"faults": faults, "findings": [asdict(each) for each in findings]}, as_json=True)
    raise typer.Exit(1 if faults else 0)
