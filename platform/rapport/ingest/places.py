"""Where a turn stands in its conversation, whose it is, and when it was said, as far as unsaid.

- Place: a turn that is known keeps it; new ones follow, in order of time, on what the lake holds.
- Owner: what one record of a conversation says holds for all of them; a conversation that names no
  user is a user of its own.
- Time: half a minute a turn, counted on from the last turn whose time is given, back from the
  first, or, where none is given, from the conversation's own beginning; without that, from a moment
  that follows from its id, in the 60 days after 2021-01-01.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rapport.ingest.batch import Intake
from rapport.ingest.spoken import Spoken, Who
from rapport.schema import content_id

TURN = dt.timedelta(seconds=30)
_START = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
_SPREAD_S = 60 * 86_400


@dataclass(frozen=True)
class Placed:
    """A turn with its id, place, owner and time."""

    spoken: Spoken
    turn_id: str
    index: int
    user_key: str
    ts: dt.datetime
    ts_source: str


def placed(turns: Sequence[Spoken], intake: Intake, *, source: str) -> list[Placed]:
    """Place some turns, conversations together, each in its order."""
    loose = {turn.conversation_id for turn in turns if turn.alone}
    known = _Known.of(loose, intake)
    order = sorted(range(len(turns)), key=lambda i: turns[i].conversation_id)
    result: list[Placed] = []
    for conversation, group in groupby(order, key=lambda i: turns[i].conversation_id):
        told = [turns[i] for i in group]
        ids = [content_id(intake.tenant, source, conversation, *turn.identity) for turn in told]
        owner, user_key = _owner(told, known, intake)
        numbered = _numbered(told, ids, known.indexes.get(conversation, {}))
        times = _times([(turn, index) for turn, _, index in numbered])
        result += [
            Placed(replace(turn, who=turn.who.filled(owner)), turn_id, index, user_key, *time)
            for (turn, turn_id, index), time in zip(numbered, times, strict=True)
        ]
    return result


@dataclass(frozen=True)
class _Known:
    """What the lake holds of some conversations."""

    indexes: Mapping[str, Mapping[str, int]]
    """By conversation and turn id."""
    owners: Mapping[str, tuple[str, str | None]]
    """By conversation: keyed user and age band."""

    @classmethod
    def of(cls, conversations: set[str], intake: Intake) -> "_Known":
        if not conversations or intake.history is None:
            return cls({}, {})
        rows = intake.history.turns(conversations).iter_rows(named=True)
        indexes: dict[str, dict[str, int]] = {}
        owners: dict[str, tuple[str, str | None]] = {}
        for row in rows:
            indexes.setdefault(row["conversation_id"], {})[row["turn_id"]] = row["turn_index"]
            owners[row["conversation_id"]] = row["user_id"], row["age_band"]
        return cls(indexes, owners)


def _owner(told: Sequence[Spoken], known: _Known, intake: Intake) -> tuple[Who, str]:
    conversation = told[0].conversation_id
    whole = Who()
    for turn in told:
        whole = whole.filled(turn.who)
    earlier = known.owners.get(conversation)
    if earlier and earlier[1]:
        whole = whole.filled(Who(groups=(("age_band", earlier[1]),)))
    if whole.user_id is not None:
        return whole, intake.user_key(whole.user_id)
    return whole, earlier[0] if earlier else intake.user_key(conversation)


def _numbered(
    told: Sequence[Spoken], ids: Sequence[str], known: Mapping[str, int]
) -> list[tuple[Spoken, str, int]]:
    pairs = list(zip(told, ids, strict=True))
    if all(turn.ts is not None for turn in told):
        pairs.sort(key=lambda pair: (pair[0].ts, pair[0].index or 0))
    last = max(known.values(), default=-1)
    result = []
    given: dict[str, int] = dict(known)
    for turn, turn_id in pairs:
        index = turn.index if turn.index is not None else given.get(turn_id)
        if index is None:
            index = last + 1
        given[turn_id] = index
        last = max(last, index)
        result.append((turn, turn_id, index))
    return sorted(result, key=lambda one: one[2])


def _times(numbered: Sequence[tuple[Spoken, int]]) -> list[tuple[dt.datetime, str]]:
    first = next(((turn.ts, index) for turn, index in numbered if turn.ts is not None), None)
    anchor: tuple[dt.datetime, int] = first or (_began(numbered[0][0]), 0)
    result = []
    for turn, index in numbered:
        if turn.ts is not None:
            anchor = turn.ts, index
            result.append((turn.ts, "given"))
        else:
            result.append((anchor[0] + TURN * (index - anchor[1]), "estimated"))
    return result


def _began(turn: Spoken) -> dt.datetime:
    if turn.began is not None:
        return turn.began
    number = int(turn.conversation_id[:8], 16)
    return _START + dt.timedelta(seconds=number % _SPREAD_S)
