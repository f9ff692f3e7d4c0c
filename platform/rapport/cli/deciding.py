"""`rapport decide "TEXT" --user U`: what would be answered, and why; nothing is logged."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rapport.cli.explaining import fixed, percent, print_explanation
from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.cli.printing import console, print_rows
from rapport.cli.stages import QUIET_RAY
from rapport.errors import ConfigError, RapportError, UnknownNameError
from rapport.home import Home

if TYPE_CHECKING:
    from rapport.explanation.shape import Candidate, Explanation


_LONGEST_ID = 256


class DecideFailedError(RapportError):
    """The process that decides ended before it answered, and did not say why."""

    code = "decide_failed"

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"nothing was decided (exit code {self.status}); what happened is above"


@plainly
def decide(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the user says.")],
    user: Annotated[
        str, typer.Option("--user", help="Id of the user, as the application names him.")
    ],
    agent: Annotated[
        str | None, typer.Option("--agent", help="Whose menu; emotional_support where left out.")
    ] = None,
    personas: Annotated[
        list[str] | None,
        typer.Option(
            "--compare-persona",
            metavar="PERSONA",
            help="Decide as if the user were of this persona, too; may be given several times.",
        ),
    ] = None,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say what would be answered and why: persona, kinds of reply, probabilities, instruction.

    Reads the home and its release as serving does; starts no server, loads no language model,
    logs nothing and remembers nothing of it.
    """
    from rapport.arms import DEFAULT_AGENT

    agent = agent or DEFAULT_AGENT
    _check(text, user, agent, Home(home, make=False))
    asked = {"text": text, "user": user, "agent": agent, "tenant": tenant}
    line, status = _ask({**asked, "personas": personas or []}, home)
    if status:
        fail(line, status, as_json=json_)
    if json_:
        sys.stdout.write(line + "\n")
    else:
        print_decided(json.loads(line)["decided"])


def _check(text: str, user: str, agent: str, home: Home) -> None:
    """Refuse at once what cannot be decided about.

    Raises:
        ConfigError: There is no text, no such agent or no release, or the id cannot be one.
    """
    from rapport.arms import agents
    from rapport.release import current

    if not text.strip():
        raise ConfigError("TEXT", "", "say in quotes what the user would say")
    if not 0 < len(user) <= _LONGEST_ID:
        remedy = f"give an id of 1 to {_LONGEST_ID} characters, as the application would"
        raise ConfigError("--user", f"{len(user)} characters long", remedy)
    if agent not in agents():
        raise UnknownNameError("agent", agent, agents())
    if current(home.releases) is None:
        remedy = "no release serves here, so nothing is decided; rapport run or demo makes one"
        raise ConfigError("--home", str(home.root), remedy)


def print_decided(decided: Sequence[dict[str, Any]]) -> None:
    """Print one answer at length, or several side by side."""
    from rapport.explanation.shape import Explanation

    told = [Explanation.model_validate(each["explanation"]) for each in decided]
    if len(decided) == 1:
        print_explanation(told[0])
        console().print(_would(decided[0]), highlight=False, markup=False)
        return
    heads = _heads(decided)
    title = "Each kind of reply: its probability, and what it earns (rec)"
    print_rows(side_by_side(heads, told), title=title)
    for head, each, words in zip(heads, decided, told, strict=True):
        console().print(f"{head}: {_would(each)} {words.summary}", highlight=False, markup=False)


def side_by_side(heads: Sequence[str], told: Sequence["Explanation"]) -> list[dict[str, Any]]:
    """One row a kind of reply, with its probability and rec in each answer."""
    columns = [{each.arm: each for each in one.candidates if each.arm} for one in told]
    arms = dict.fromkeys(arm for column in columns for arm in column)
    return [
        {
            "reply": arm,
            **{head: _told(each.get(arm)) for head, each in zip(heads, columns, strict=True)},
        }
        for arm in arms
    ]


def _told(candidate: "Candidate | None") -> str | None:
    if candidate is None:
        return None
    return f"{percent(candidate.probability)}, {fixed(candidate.rec) or '-'}"


def _heads(decided: Sequence[dict[str, Any]]) -> list[str]:
    """What each answer is called: the user as he is known, then each persona tried."""
    return [
        f"as {each['persona_id']}"
        if each["pinned"]
        else f"as known ({each['persona_id'] or 'nobody'})"
        for each in decided
    ]


def _would(each: dict[str, Any]) -> str:
    likeliest = each["likeliest"]
    if likeliest is None:
        return "No kind of reply would be drawn."
    writer = each["adapter"] or "no adapter"
    return f"Likeliest: [{likeliest['arm']}] {likeliest['instruction']} ({writer})."


def _ask(asked: dict[str, Any], home: Path) -> tuple[str, int]:
    """The last line that the deciding process printed, and its exit code.

    The text goes through a pipe: a command line can be read by everybody on the machine.
    """
    command = [sys.executable, "-m", "rapport_serve.deciding", "--home", str(home)]
    ran = subprocess.run(  # noqa: S603  our own module
        command,
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**QUIET_RAY, **os.environ},
    )
    return (ran.stdout.strip().splitlines() or [""])[-1], ran.returncode


def fail(line: str, status: int, *, as_json: bool) -> None:
    """End with the words and the exit code of the deciding process."""
    if not line.startswith("{"):
        raise DecideFailedError(status)
    if as_json:
        sys.stdout.write(line + "\n")
    else:
        sys.stderr.write(f"rapport: {json.loads(line)['error']['message']}\n")
    raise typer.Exit(status)
