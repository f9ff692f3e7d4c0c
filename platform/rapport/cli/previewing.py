"""`rapport ingest --preview`: how the first turns of a log were understood, on one screen."""

from collections.abc import Mapping, Sequence
from typing import Any

from rapport.cli.printing import print_ingested, print_rows
from rapport.cli.stage_lines import say

_ID, _TEXT = 8, 56
"""Characters shown of an id and of a text."""


def print_preview(found: Mapping[str, Any]) -> None:
    """Print the counts and the first turns, shortened, and what is made up in them."""
    print_ingested(found)
    turns: Sequence[Mapping[str, Any]] = found["turns"]
    print_rows([_short(turn) for turn in turns], title="The first turns, as mapped")
    if any(turn["ts_source"] == "estimated" for turn in turns):
        say("* a time the log does not name, made up to keep the order")
    say("Conversations and users are shown by the first digits of their keyed ids.")
    say("Nothing was written. Without --preview it is.")


def _short(turn: Mapping[str, Any]) -> dict[str, str]:
    mark = "*" if turn["ts_source"] == "estimated" else ""
    kind = "" if turn["kind"] == "message" else f" ({turn['kind']})"
    said = " ".join((turn["text"] or "-").split())
    return {
        "talk": turn["conversation_id"][:_ID],
        "turn": str(turn["turn_index"]),
        "user": turn["user_id"][:_ID],
        "role": turn["role"] + kind,
        "time": f"{turn['ts']:%Y-%m-%d %H:%M}{mark}",
        "text": said if len(said) <= _TEXT else f"{said[:_TEXT]}...",
    }
