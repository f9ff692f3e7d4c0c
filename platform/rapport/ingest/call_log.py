"""Logs of model calls as batches of rows: calls, what traces say of them, and verdicts on them.

The files are read twice. What a verdict or a trace is about may stand anywhere before or after it,
so the first reading keeps those (a few hundred bytes each, and as much for every request), and the
second hands over the turns batch by batch, each with what was said of it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.calls import Bad, Call, Context, Entry, Left, Verdict, opinion_of, turns_of
from rapport.ingest.elements import Element, elements
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import Source
from rapport.ingest.spoken import Opinion, Spoken
from rapport.ingest.spoken_batch import Gathered

MOST = 5_000_000
"""Requests, or verdicts, of one ingest: about 2 GB."""
_NO_CALL = "names nothing that this log holds; ingest calls and scores together"
_RETRY = "retry"

Elements = Callable[[], Iterator[tuple[str, Element]]]
"""Reads all records of a log, each with its file."""
Parse = Callable[[Any, Intake], Iterator[Entry]]
"""What one record says."""
_Placed = tuple[Verdict, str]
"""A verdict and where it stood."""


def call_batches(
    records: Elements, parse: Parse, intake: Intake, *, source: str
) -> Iterator[Batch]:
    """Read a log of calls batch by batch.

    Raises:
        ConfigError: It cannot be read, or is too large to be read at once.
    """
    known = _Known()
    for position, entry in _entries(records, parse, intake):
        known.take(entry, position)
    about, orphans = known.settled()
    reading = _Reading(known, about, Gathered(intake, source))
    for position, entry in _entries(records, parse, intake):
        reading.take(entry, position)
        if reading.gathered.full:
            yield reading.gathered.handed_over()
    for verdict, position in orphans + [one for each in about.values() for one in each]:
        reading.refuse(RowError("about", _NO_CALL), verdict, position)
    reading.gathered.facts = {**reading.counts, "left_out": dict(reading.left.most_common())}
    yield reading.gathered.handed_over()


def _entries(records: Elements, parse: Parse, intake: Intake) -> Iterator[tuple[str, Entry]]:
    for name, element in records():
        position = f"{name} {element.position}"
        if element.problem or not isinstance(element.value, dict):
            error = RowError("", element.problem or "is not an object")
            yield position, Bad(error, element.text)
            continue
        for entry in parse(element.value, intake):
            yield position, entry


@dataclass
class _Asked:
    """The last call of a request so far."""

    began: datetime
    call: str
    session: str | None


@dataclass
class _Known:
    """What the first reading found."""

    contexts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By request."""
    requests: dict[str, _Asked] = field(default_factory=dict)
    attempts: dict[bytes, tuple[datetime, str]] = field(default_factory=dict)
    """The last attempt of each, by what was asked."""
    verdicts: list[_Placed] = field(default_factory=list)

    def take(self, entry: Entry, position: str) -> None:
        """Remember what an entry brings.

        Raises:
            ConfigError: It is too much.
        """
        if isinstance(entry, Verdict):
            self.verdicts.append((entry, position))
        elif isinstance(entry, Context):
            self.contexts[entry.request] = entry.record
        elif isinstance(entry, Call):
            now = entry.began, entry.id
            self.attempts[entry.asked] = max(self.attempts.get(entry.asked, now), now)
            last = self.requests.get(entry.request)
            if last is None or (last.began, last.call) <= now:
                session = entry.session or (last.session if last else None)
                self.requests[entry.request] = _Asked(*now, session)
        if max(len(self.verdicts), len(self.attempts)) > MOST:
            remedy = f"ingest it in parts of at most {MOST:,} calls, with their scores"
            raise ConfigError("paths", f"more than {MOST:,} records", remedy)

    def whole(self, call: Call) -> Call:
        """A call with what its trace says."""
        return call.within(self.contexts.get(call.request, {}))

    def is_retried(self, call: Call) -> bool:
        """Whether the same was asked again later in the same request."""
        return self.attempts[call.asked][1] != call.id

    def settled(self) -> tuple[dict[str, list[_Placed]], list[_Placed]]:
        """Verdicts by the call they stand at, and those that are about nothing here."""
        calls = {call for _, call in self.attempts.values()}
        sessions: dict[str, _Asked] = {}
        for request, asked in self.requests.items():
            name = asked.session or self.contexts.get(request, {}).get("session")
            if name and (name not in sessions or sessions[name].began <= asked.began):
                sessions[name] = asked
        stands = {
            **{("call", call): call for call in calls},
            **{("request", name): asked.call for name, asked in self.requests.items()},
            **{("session", name): asked.call for name, asked in sessions.items()},
        }
        found: dict[str, list[_Placed]] = {}
        orphans = []
        for verdict, position in self.verdicts:
            about = next((one for one in verdict.about if one in stands), None)
            if about is None:
                orphans.append((verdict, position))
                continue
            held = found.setdefault(stands[about], [])
            held.append((replace(verdict, about=(about,)), position))
        return found, orphans


@dataclass
class _Reading:
    """The second reading."""

    known: _Known
    about: dict[str, list[_Placed]]
    """Verdicts that still wait for their call, by its id."""
    gathered: Gathered
    counts: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Records left out, by reason."""

    def take(self, entry: Entry, position: str) -> None:
        """Take what an entry brings."""
        if isinstance(entry, Bad):
            self.gathered.read[entry.table] += 1
            self.gathered.refuse(entry.error, table=entry.table, position=position, row=entry.shown)
        elif isinstance(entry, Left):
            self.left[entry.why] += 1
        elif isinstance(entry, Call):
            if self.known.is_retried(entry):
                self.left[_RETRY] += 1
            else:
                self._call(self.known.whole(entry), position)

    def _call(self, call: Call, position: str) -> None:
        intake = self.gathered.intake
        try:
            turns = turns_of(call, intake, source=self.gathered.source)
        except RowError as error:
            self.gathered.read["turns"] += 1
            shown = dumped(intake.mapping.shown({**call.owner, "output": call.answer}))
            self.gathered.refuse(error, table="turns", position=position, row=shown)
            return
        self.counts["calls"] += 1
        self.counts["calls_without_session"] += call.session is None
        self.counts["calls_without_user"] += turns[-1].who.user_id is None
        self.gathered.take([*turns[:-1], self._judged(turns[-1], call)])

    def _judged(self, reply: Spoken, call: Call) -> Spoken:
        """A reply with what was said of it."""
        opinions: dict[str, list[Opinion]] = {"call": [], "request": [], "session": []}
        for verdict, where in self.about.pop(call.id, []):
            try:
                opinion, declared = opinion_of(verdict, self.gathered.intake)
            except RowError as error:
                self.refuse(error, verdict, where)
                continue
            self.counts["undeclared_feedback"] += not declared
            opinions[verdict.about[0][0]].append(opinion)
        of_turn = (*opinions["call"], *opinions["request"])
        return replace(reply, opinions=of_turn, closing=tuple(opinions["session"]))

    def refuse(self, error: RowError, verdict: Verdict, position: str) -> None:
        """Refuse one verdict."""
        self.gathered.read["feedback"] += 1
        row = dumped({verdict.metric: verdict.text if verdict.value is None else verdict.value})
        self.gathered.refuse(error, table="feedback", position=position, row=row)


def records_of(files: Sequence[Source], opening: re.Pattern[str]) -> Elements:
    """Reader of the JSON records of some files; see `rapport.ingest.elements`."""
    return lambda: ((file.name, one) for file in files for one in elements(file, opening=opening))
