"""Format `langfuse`: observations, traces and scores as Langfuse exports them.

One object a line (`.jsonl`, `.ndjson`) or one JSON array (`.json`), `.gz` and `.zst` too: the files
of the blob storage export (`observations_v2/`, or `observations/` with `traces/`, and `scores/`),
or what the public API and the SDKs give, traces with their observations inside among them. Names
may be written `trace_id` or `traceId`. Give all files of a period in one ingest: a score finds its
observation only there.
https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields

- An observation of type GENERATION is a call: `input` (messages, or a text), `output`, `start_time`
  and `end_time`; `session_id` is the conversation (without one, every trace is one of its own),
  `user_id` the user. Agent, age band, language and the like may stand in `metadata`. Other types,
  failed calls, calls without content, evaluators' own calls (environment `langfuse-...`) and
  attempts that were made again in the same trace are left out and counted.
- A score is feedback: on its observation where that is a call, else on the last answer of its trace
  or session. Its name is the metric (`metrics: {thumbs: [user-feedback]}` in a mapping renames it);
  a category or text is kept as text. A comment by people is feedback too, an evaluator's is not.
  Scores of experiments (`dataset_run_id`) are left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.call_log import call_batches, records_of
from rapport.ingest.call_messages import messages_of, parsed
from rapport.ingest.calls import Bad, Call, Context, Entry, Left, Verdict, owner_of
from rapport.ingest.fields import MISSING, Record, identifier, moment, needed, real, text
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import sources

SOURCE = "langfuse"
ENDINGS = (".jsonl", ".ndjson", ".json")
_OPENING = re.compile(r'\{\s*"(?:id|trace_?[iI]d|timestamp|project_?[iI]d|type|name)"\s*:')
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CALLS = ("GENERATION",)
_OTHERS = (
    "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL",
)  # fmt: skip


def read_langfuse(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read an export batch by batch; raises as `sources` and `call_batches` do."""
    files = sources(places, endings=ENDINGS)
    return call_batches(records_of(files, _OPENING), entries, intake, source=SOURCE)


def entries(record: Mapping[str, Any], intake: Intake) -> Iterator[Entry]:
    """What one exported record says."""
    named = {_CAMEL.sub("_", key).lower(): value for key, value in record.items()}
    for inside in ("observations", "data"):  # a whole trace; a page of the public API
        if isinstance(named.get(inside), list):
            yield from _whole(named, inside, intake)
            return
    table = "feedback" if _is_score(named) else "turns"
    try:
        yield from _score(named) if table == "feedback" else _told(named, intake)
    except RowError as error:
        yield Bad(error, dumped(intake.mapping.shown(named)), table)


def _whole(record: Record, inside: str, intake: Intake) -> Iterator[Entry]:
    scores = record.get("scores")
    within = [*record[inside], *(scores if isinstance(scores, list) else ())]
    trace = {"trace_id": record["id"]} if "id" in record else {}
    if trace:
        hidden = (inside, "scores")
        yield from entries({k: v for k, v in record.items() if k not in hidden}, intake)
    for one in within:
        if isinstance(one, dict):
            yield from entries({**trace, **one}, intake)


def _is_score(record: Record) -> bool:
    return "type" not in record and "name" in record and bool({"value", "string_value"} & {*record})


def _told(record: Record, intake: Intake) -> Iterator[Entry]:
    if record.get("type") is not None:
        yield _observation(record, intake)
    elif "timestamp" in record:
        own = intake.mapping.applied(record)
        trace = needed(identifier(record, "id"), "id")
        yield Context(trace, {**owner_of(own), "session": _session(own)})
    else:
        raise RowError("type", f"{MISSING}: this is no observation, score or trace")


def _observation(record: Record, intake: Intake) -> Call | Left:
    kind = str(record["type"]).upper()
    if kind not in _CALLS:
        return Left(kind.lower() if kind in _OTHERS else "other type")
    if str(record.get("environment") or "").startswith("langfuse-"):
        return Left("evaluation")
    told = {**record, "input": parsed(record.get("input")), "output": parsed(record.get("output"))}
    own = intake.mapping.applied(told)
    if own["input"] is None or own["output"] is None:
        return Left("failed" if record.get("level") == "ERROR" else "without content")
    name = needed(identifier(record, "id"), "id")
    began = moment(record, "start_time")
    if began is None:
        raise RowError("start_time", MISSING)
    return Call(
        id=name,
        request=identifier(record, "trace_id") or name,
        session=_session(own),
        owner=owner_of(own),
        messages=messages_of(own["input"], role="user", where="input"),
        answer=messages_of(own["output"], role="assistant", where="output")[0],
        began=began,
        ended=moment(record, "end_time") or began,
    )


def _session(own: Record) -> str | None:
    return identifier(own, "conversation_id") or identifier(own, "session_id")


def _score(record: Record) -> Iterator[Verdict | Left]:
    if record.get("dataset_run_id"):
        yield Left("experiment score")
        return
    name = needed(text(record, "name"), "name")
    ids = {
        kind: identifier(record, field)
        for kind, field in (
            ("call", "observation_id"), ("request", "trace_id"), ("session", "session_id"),
        )
    }  # fmt: skip
    about = tuple((kind, one) for kind, one in ids.items() if one is not None)
    if not about:
        raise RowError("trace_id", f"{MISSING}, and so are observation_id and session_id")
    said = text(record, "string_value")
    worded = str(record.get("data_type") or "NUMERIC").upper() in ("CATEGORICAL", "TEXT")
    yield Verdict(about, name, None if worded else real(record, "value"), said if worded else None)
    comment = text(record, "comment")
    if comment is not None and record.get("source") != "EVAL":
        yield Verdict(about, "comment", None, comment)
