"""Turns that were read, as batches of rows: gathered to a bound, placed, cleaned."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.places import Placed, placed
from rapport.ingest.quarantine import Reject, dumped
from rapport.ingest.spoken import Opinion, Spoken, agent_of, allowed
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, content_id, to_table

CHARACTERS = 64 * 2**20
"""Text of a batch, however few its rows are."""
_AFTER = dt.timedelta(microseconds=1)

Row = dict[str, Any]


@dataclass
class Gathered:
    """What was read since the last batch."""

    intake: Intake
    source: str
    turns: list[Spoken] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    records: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    _characters: int = 0

    @property
    def full(self) -> bool:
        """Whether it is time to hand over."""
        return (
            len(self.turns) + len(self.rejects) >= self.intake.chunk_rows
            or self._characters >= CHARACTERS
        )

    def take(self, turns: Sequence[Spoken]) -> None:
        """Add valid turns."""
        self.turns += turns
        self.read["turns"] += len(turns)
        opinions = sum(len(turn.opinions) + len(turn.closing) for turn in turns)
        if opinions:
            self.read["feedback"] += opinions
        self._characters += sum(len(turn.text or "") for turn in turns)

    def refuse(self, error: RowError, *, table: str, position: str, row: str) -> None:
        """Add a refused record; it counts as read where the caller says."""
        self.rejects.append(Reject.of(error, table=table, position=position, row=row))
        self._characters += len(self.rejects[-1].row or "")

    def refuse_opinions(
        self, faults: Sequence[tuple[RowError, str]], record: Mapping[str, Any], *, position: str
    ) -> None:
        """Add refused opinions of a record that is good otherwise."""
        for error, metric in faults:
            self.read["feedback"] += 1
            row = dumped({metric: record.get(metric)})
            self.refuse(error, table="feedback", position=position, row=row)

    def handed_over(self) -> Batch:
        """Everything gathered as a batch; then begin anew."""
        batch = _batch(self)
        self.turns, self.rejects, self.read = [], [], Counter()
        self.records, self.facts, self._characters = {}, {}, 0
        return batch


def event_of(one: Placed, intake: Intake, *, source: str) -> Row:
    """Columns that every event of a turn has."""
    who = one.spoken.who
    groups = dict(who.groups)
    return {
        "tenant": intake.tenant,
        "ts": one.ts,
        "ts_source": one.ts_source,
        "user_id": one.user_key,
        "agent_id": agent_of(who),
        "journey_id": who.journey_id,
        "purposes": allowed(who, intake),
        "groups": {**groups, "age_band": intake.policy.age_band(who.age_band)},
        "source": source,
    }


def _batch(gathered: Gathered) -> Batch:
    intake, source = gathered.intake, gathered.source
    stored = stored_texts(_texts(gathered.turns))
    turns: list[Row] = []
    feedback: list[Row] = []
    for one in placed(gathered.turns, intake, source=source):
        event = event_of(one, intake, source=source)
        turns.append({**event, **turn_of(one, stored)})
        feedback += [{**event, **row} for row in feedback_of(one, stored)]
    return Batch(
        tables={"turns": to_table("turns", turns), "feedback": to_table("feedback", feedback)},
        read=gathered.read,
        rejects=gathered.rejects,
        records=gathered.records,
        facts=gathered.facts,
    )


def _texts(turns: Sequence[Spoken]) -> list[str]:
    said = [turn.text for turn in turns]
    said += [one.text for turn in turns for one in (*turn.opinions, *turn.closing)]
    return [text for text in said if text is not None]


def turn_of(one: Placed, stored: Mapping[str, str]) -> Row:
    """Columns that a turn has beside those of every event."""
    turn = one.spoken
    text = None if turn.text is None else stored[turn.text]
    return {
        "conversation_id": turn.conversation_id,
        "turn_id": one.turn_id,
        "turn_index": one.index,
        "role": turn.role,
        "kind": turn.kind,
        "text": text,
        "facet": CRISIS_FACET if text == CRISIS_TEXT else None,
        "features": dict(turn.features) or None,
        **dict(turn.labels),
    }


def feedback_of(one: Placed, stored: Mapping[str, str]) -> list[Row]:
    """Columns of the feedback on a turn, beside those of every event."""
    conversation = one.spoken.conversation_id
    of_turn = [(one.turn_id, opinion) for opinion in one.spoken.opinions]
    of_all = [(conversation, opinion) for opinion in one.spoken.closing]
    return [_opinion(one, about, opinion, stored) for about, opinion in (*of_turn, *of_all)]


def _opinion(one: Placed, about: str, opinion: Opinion, stored: Mapping[str, str]) -> Row:
    # Just after the reply it is about: that is how a decision made of it later finds it.
    return {
        "ts": one.ts + _AFTER,
        "feedback_id": content_id(about, opinion.metric, opinion.value, opinion.text),
        "episode_id": one.spoken.conversation_id,
        "metric_name": opinion.metric,
        "value": opinion.value,
        "text": None if opinion.text is None else stored[opinion.text],
        "sentiment": opinion.sentiment,
    }
