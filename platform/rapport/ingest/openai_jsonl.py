"""Format `openai-jsonl`: chat messages as OpenAI's APIs and fine-tuning files write them.

One record a line (`.jsonl`, `.ndjson`), or one JSON array of them (`.json`), `.gz` and `.zst` too.

A record is a conversation, `{"messages": [{"role", "content"}, ...]}`, with, all optional:
`conversation_id` or `id`; `user` (or `user_id`, `safety_identifier`, or one of them in `metadata`);
`created` (its beginning); `rating` 1-5, `thumbs`, `task_success` 0-1, `reward` -1-1, `dwell` in
seconds, `comment`; `agent_id`, `journey_id`, `age_band`, `jurisdiction`, `language`, `purposes`,
`topic`, `goal`. A message may carry `timestamp` and ratings of its own, and those go to that reply;
the conversation's go to its last one. Or a record is one message, `{"role", "content",
"conversation_id"}`, with `timestamp` or `turn_index`, and all of the above.

System and developer messages are instructions and become no turns. One fault in a conversation
refuses the whole line; a rating that cannot be is refused alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.chats import CHAT_FIELDS, MESSAGE, SOURCE, parse_chat, parse_message
from rapport.ingest.elements import Element, elements
from rapport.ingest.mapping import found
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import sources
from rapport.ingest.spoken_batch import Gathered

__all__ = ["CHAT_FIELDS", "read_openai_jsonl"]

ENDINGS = (".jsonl", ".ndjson", ".json")
CONVERSATIONS = "conversations"
_OPENING = re.compile(
    r'\{\s*"(?:messages|id|conversation_id|user|user_id|role|created|metadata)"\s*:'
)


def read_openai_jsonl(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read records batch by batch.

    Raises:
        ConfigError: A place that nothing can be read from, or a mapping that names what no record
            of the first batch has.
    """
    gathered = Gathered(intake, SOURCE)
    mapped = dict(intake.mapping.without(MESSAGE).names)
    records = 0
    for source in sources(places, endings=ENDINGS):
        for element in elements(source, opening=_OPENING):
            position = f"{source.name} {element.position}"
            record = _take(element, gathered, position=position)
            records += bool(record)
            for ours in [one for one, theirs in mapped.items() if _has(record, theirs)]:
                del mapped[ours]
            if gathered.full:
                _check_mapped(mapped, records)
                records = 0
                mapped.clear()
                yield gathered.handed_over()
    _check_mapped(mapped, records)
    yield gathered.handed_over()


def _take(element: Element, gathered: Gathered, *, position: str) -> dict[str, Any]:
    """Take one record or refuse it; returns it as it stood, empty where it is none."""
    intake = gathered.intake
    value = element.value if isinstance(element.value, dict) else {}
    record = intake.mapping.without(MESSAGE).applied(value)
    alone = "messages" not in record and ("role" in record or "content" in record)
    table = "turns" if alone else CONVERSATIONS
    accepted = gathered.records.setdefault(CONVERSATIONS, []) if not alone else []
    try:
        _check(element)
        chat = (parse_message if alone else parse_chat)(record, intake)
    except RowError as error:
        gathered.read[table] += 1
        shown = dumped(intake.mapping.shown(value)) if value else element.text
        gathered.refuse(error, table=table, position=position, row=shown)
        return value
    if table == CONVERSATIONS:
        gathered.read[CONVERSATIONS] += 1
        accepted.append(chat.turns[0].conversation_id)
    elif not chat.turns:
        gathered.facts["system_turns"] = gathered.facts.get("system_turns", 0) + 1
    gathered.take(chat.turns)
    for fault, metric, holder in chat.faults:
        gathered.refuse_opinions([(fault, metric)], holder, position=position)
    return value


def _check(element: Element) -> None:
    if element.problem:
        raise RowError("", element.problem)
    if not isinstance(element.value, dict):
        raise RowError("", "is not an object")


def _has(record: dict[str, Any], path: str) -> bool:
    return found(record, path) is not None


def _check_mapped(unmet: dict[str, str], records: int) -> None:
    """Refuse a mapping of what no record had, as long as nothing has landed."""
    if unmet and records:
        ours = min(unmet)
        remedy = "no record of the log has it; correct it or leave it out"
        raise ConfigError(f"--mapping {ours}", unmet[ours], remedy)
