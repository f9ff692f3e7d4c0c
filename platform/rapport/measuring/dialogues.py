"""Dialogues in a file, as `rapport ingest` would read them, cut into replies and what came before.

Nothing is stored: texts are redacted and users hashed, and the rows are forgotten afterwards.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from rapport.arms import DEFAULT_AGENT, Arm, agents, load_menu
from rapport.errors import ConfigError, TooLittleDataError
from rapport.governance.tenants import EMBEDDED
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.esconv import read_esconv
from rapport.ingest.turns_table import read_turns_parquet
from rapport.language.prompts import Message
from rapport.schema import CRISIS_FACET

_PARQUET, _DIALOGUES = (".parquet", ".pq"), (".jsonl", ".json", ".gz")
_TURNS = "turns.parquet"
_REMEDY = "give a turns table (.parquet), a folder with turns.parquet, or ESConv's jsonl or folder"
_COLUMNS = ("conversation_id", "turn_index", "ts", "user_id", "agent_id", "role", "text", "arm")


@dataclass(frozen=True)
class Spoken:
    """Turns that were read: who said what, in order."""

    turns: pl.DataFrame
    """Columns `conversation_id, turn_index, ts, user_id, agent_id, role, text, arm`; crises out."""
    rows: int
    skipped: int
    """Rows that could not be used, crises among them."""


@dataclass(frozen=True)
class Case:
    """A reply in a dialogue."""

    user: str
    messages: list[Message]
    """What came before it, up to the user's message it answers."""
    reply: str
    arm: Arm | None
    """None where the log does not say, or a kind that is never served."""
    said: list[str]
    """The user's messages up to then, of earlier dialogues too, oldest first."""


def read_dialogues(path: Path, *, tenant: str, secret: bytes) -> Spoken:
    """Read a turns table or ESConv.

    Args:
        path: File or folder.
        tenant: Whose users these are.
        secret: Key of the home's user hashes.

    Raises:
        ConfigError: It is neither, or cannot be read.
    """
    intake = Intake(tenant, secret, EMBEDDED)
    place = path / _TURNS if (path / _TURNS).is_file() else path
    if place.suffix in _PARQUET:
        batches = _turns_table(place, intake)
    elif place.is_dir() or place.suffix in _DIALOGUES:
        batches = [read_esconv([place], intake)]
    else:
        raise ConfigError("--data", str(path), f"it is no file of this kind; {_REMEDY}")
    return _spoken(batches)


def _turns_table(file: Path, intake: Intake) -> list[Batch]:
    try:
        return list(read_turns_parquet([str(file)], intake))
    except ConfigError as error:
        if error.setting != "column":
            raise
        # What reads logs for good would have the columns mapped; this takes them as they are named.
        remedy = f"it has no column {error.value}; {_REMEDY}"
        raise ConfigError("--data", str(file), remedy) from error


def _spoken(batches: list[Batch]) -> Spoken:
    tables = [pl.DataFrame(batch.tables["turns"]) for batch in batches if "turns" in batch.tables]
    turns = pl.concat(tables) if tables else pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    refused = Counter(reject.table for batch in batches for reject in batch.rejects)
    refused_turns = sum(count for table, count in refused.items() if table != "feedback")
    if turns.is_empty():
        raise TooLittleDataError("turns in the file", 0, 2, _REMEDY)
    told = turns.filter(
        pl.col("kind") == "message",
        pl.col("role").is_in(["user", "assistant"]),
        pl.col("text").is_not_null(),
        pl.col("facet").fill_null("") != CRISIS_FACET,
    )
    told = told.select(_COLUMNS).sort("conversation_id", "turn_index")
    return Spoken(told, turns.height + refused_turns, turns.height - told.height + refused_turns)


def replies_in(
    spoken: Spoken, *, without: Collection[str], limit: int, history: int, seed: int
) -> list[Case]:
    """Draw replies that answer a message, at random, each with what came before it.

    Args:
        spoken: Turns.
        without: Users to leave out.
        limit: Most replies.
        history: Most messages before a reply.
        seed: Of the draw.

    Raises:
        TooLittleDataError: No reply is left.
    """
    turns = spoken.turns.with_row_index("row").with_columns(
        before=pl.col("role").shift(1).over("conversation_id")
    )
    answers = turns.filter(
        pl.col("role") == "assistant",
        pl.col("before") == "user",
        pl.col("text").str.strip_chars() != "",
        ~pl.col("user_id").is_in(list(without)),
    )
    if answers.is_empty():
        remedy = "give dialogues that this release did not learn from" if without else _REMEDY
        raise TooLittleDataError("replies of users to measure on", 0, 1, remedy)
    drawn = np.random.default_rng(seed).permutation(answers.height)[:limit]
    chosen = answers[np.sort(drawn)]
    told = _by_user(spoken.turns, chosen["user_id"].unique().to_list())
    menus = {agent: load_menu(agent) for agent in agents()}
    arms = {agent: {arm.name: arm for arm in menu.served} for agent, menu in menus.items()}
    return [_case(row, spoken.turns, told, arms, history) for row in chosen.iter_rows(named=True)]


def _by_user(turns: pl.DataFrame, users: list[str]) -> dict[str, pl.DataFrame]:
    wrote = turns.filter(pl.col("role") == "user", pl.col("user_id").is_in(users))
    parts = wrote.sort("ts", "conversation_id", "turn_index").partition_by("user_id", as_dict=True)
    return {str(key[0]): frame for key, frame in parts.items()}


def _case(
    row: Mapping[str, object],
    turns: pl.DataFrame,
    told: Mapping[str, pl.DataFrame],
    arms: Mapping[str, Mapping[str, Arm]],
    history: int,
) -> Case:
    place, user = int(str(row["row"])), str(row["user_id"])
    before = turns[max(place - history, 0) : place].filter(
        pl.col("conversation_id") == row["conversation_id"]
    )
    answered = turns["ts"][place - 1]
    menu = arms.get(str(row["agent_id"]), arms[DEFAULT_AGENT])
    return Case(
        user=user,
        messages=[
            Message(role=role, content=text)
            for role, text in before.select("role", "text").iter_rows()
        ],
        reply=str(row["text"]),
        arm=menu.get(str(row["arm"])),
        said=told[user].filter(pl.col("ts") <= answered)["text"].to_list(),
    )
