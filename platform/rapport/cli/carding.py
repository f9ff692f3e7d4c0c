"""`rapport card`: does a release help, and whom does it harm?"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened_home, plainly
from rapport.cli.printing import console, print_rows
from rapport.errors import ConfigError

if TYPE_CHECKING:
    from rapport.card.document import Card, Line, Section


@plainly
def card(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="Release or judged candidate; default: the one that serves."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Show a release's empathy card: does it help, whom does it harm, what nothing shows.

    The card was made when the release was judged and lies in it, for people as card.html.
    """
    from rapport.card.document import read_card, to_text
    from rapport.release_manifest import CARD_PAGE

    folder = judged_folder(home, name)
    found = read_card(folder)
    if found is None:
        remedy = "it was judged before there were cards: rapport run evaluate_release --force"
        raise ConfigError("card", folder.name, remedy)
    if json_:
        sys.stdout.write(to_text(found))
    else:
        print_card(found)
        console().print(f"The page: {folder / CARD_PAGE}", highlight=False, soft_wrap=True)


def say_card(result: Mapping[str, Any]) -> None:
    """Say in a line or two what the card of a candidate that was just judged came to."""
    told = result.get("card")
    if not told:
        return
    console().print(f"Empathy card: {told['reason']}", highlight=False)
    if told["adapters_refused"]:
        names = ", ".join(told["adapters_refused"])
        console().print(f"  it refuses these adapters: {names}; the release goes without them")


def print_card(found: "Card") -> None:
    """Print a card for people: verdicts, what was refused or not judged, what it cannot say."""
    rows = [
        {"section": each.title, "verdict": each.status, "why": each.reason}
        for each in found.sections
    ]
    print_rows(rows, title=f"Empathy card of {found.candidate}: {found.status}")
    told = [line for each in found.sections for line in each.lines if line.status]
    open_ = [_row(line) for line in told if line.status != "passed"]
    if open_:
        print_rows(open_, title="What did not pass")
    for adapter, each in found.adapters.items():
        if not each.passed:
            console().print(f"adapter {adapter} refused: {'; '.join(each.reasons)}")
    console().print("It cannot say:")
    for sentence in found.cannot_say:
        console().print(f"  - {sentence}", highlight=False)


def print_section(found: "Section") -> None:
    """Print one section with every number."""
    print_rows([_row(line) for line in found.lines], title=f"{found.title} {found.status}")
    for said in (found.reason, *found.notes):
        console().print(said, highlight=False)


def _row(line: "Line") -> dict[str, object]:
    return {
        "of": line.group,
        "what": line.metric,
        "value": line.estimate,
        "low": line.low,
        "high": line.high,
        "n": line.n,
        "verdict": line.status,
    }


def judged_folder(home: Path, name: str | None) -> Path:
    """Folder of the release or candidate of a name, else of the release that serves.

    Raises:
        UnknownNameError: None is called so.
        ConfigError: None serves.
    """
    from rapport.pipeline.ports import newest_candidate
    from rapport.release import current, find

    opened = opened_home(home)
    if name:
        return newest_candidate(opened, name) or find(opened.releases, name)
    serving = current(opened.releases)
    if serving is None:
        remedy = "none serves yet: rapport run makes one, rapport release list shows what there is"
        raise ConfigError("release", "CURRENT", remedy)
    return serving
