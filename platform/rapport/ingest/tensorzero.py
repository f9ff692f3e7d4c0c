"""Format `tensorzero`: the tables that a TensorZero gateway keeps in its database.

One row a line, as `SELECT * FROM ChatInference FORMAT JSONEachRow` writes them (`.jsonl`,
`.ndjson`), or one JSON array (`.json`), `.gz` and `.zst` too. Which table a row is of shows in its
columns. Give inferences and feedback of a period in one ingest.
https://www.tensorzero.com/docs/gateway/data-model

- `ChatInference` is a call, its episode the conversation; `tags.user_id` is the user, and agent,
  age band, language and the like may stand in `tags`. A variant that is called like an arm, or that
  `arms:` in a mapping names, is the arm of the reply; how likely it was is not logged, so
  `label_arms` makes the decision and marks its propensity `estimated`. Other variants are kept as a
  feature of the reply (`variant.<name>`).
- `BooleanMetricFeedback`, `FloatMetricFeedback`, `CommentFeedback` and `DemonstrationFeedback` are
  feedback on the inference, or on the episode, that they name (a demonstration is a text).
- `JsonInference` (objects, no replies), `ModelInference` (attempts at providers) and inferences of
  evaluation runs are left out and counted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rapport.arms import arm_names
from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.call_log import call_batches, records_of
from rapport.ingest.call_messages import messages_of, parsed
from rapport.ingest.calls import Bad, Call, Entry, Left, Verdict, owner_of
from rapport.ingest.fields import MISSING, Record, identifier, moment, needed, real, text
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import sources

SOURCE = "tensorzero"
ENDINGS = (".jsonl", ".ndjson", ".json")
_OPENING = re.compile(r'\{\s*"(?:id|function_name|target_id|inference_id|episode_id)"\s*:')
_EVALUATION = re.compile(r"tensorzero::.*evaluation.*")
_UUID7 = 7


def read_tensorzero(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read tables batch by batch; raises as `sources` and `call_batches` do."""
    files = sources(places, endings=ENDINGS)
    return call_batches(records_of(files, _OPENING), entries, intake, source=SOURCE)


def entries(row: Mapping[str, Any], intake: Intake) -> Iterator[Entry]:
    """What one row of a table says."""
    is_feedback = "target_id" in row or ("inference_id" in row and "value" in row)
    try:
        yield _feedback(row) if is_feedback else _inference(row, intake)
    except RowError as error:
        shown = {key: value for key, value in row.items() if key != "tags"}
        yield Bad(error, dumped(shown), "feedback" if is_feedback else "turns")


def _inference(row: Record, intake: Intake) -> Call | Left:
    if "raw_request" in row or "model_name" in row:
        return Left("model inference")
    if "output_schema" in row:
        return Left("json inference")
    tags = parsed(row.get("tags"))
    tags = tags if isinstance(tags, Mapping) else {}
    if any(_EVALUATION.fullmatch(str(tag)) for tag in tags):
        return Left("evaluation")
    told = {"input": parsed(row.get("input")), "output": parsed(row.get("output"))}
    own = intake.mapping.applied({"topic": row.get("function_name"), **row, **told, "tags": tags})
    if own["input"] is None or own["output"] in (None, []):
        return Left("without content")
    name = needed(identifier(row, "id"), "id")
    began = _began(row, name)
    variant = text(row, "variant_name")
    arm = intake.mapping.arms.get(variant or "", variant)
    is_arm = arm in arm_names()
    return Call(
        id=name,
        request=name,
        session=identifier(own, "conversation_id") or identifier(row, "episode_id"),
        owner={**({"arm": arm} if is_arm else {}), **owner_of({**own, "metadata": tags})},
        messages=messages_of(own["input"], role="user", where="input"),
        answer=messages_of(own["output"], role="assistant", where="output")[0],
        began=began,
        ended=began,
        features=((f"variant.{variant}", 1.0),) if variant and not is_arm else (),
    )


def _began(row: Record, name: str) -> datetime:
    """When a row was made: as it says, else as its id does (RFC 9562, version 7)."""
    stated = moment(row, "timestamp")
    if stated is not None:
        return stated
    try:
        made = UUID(name)
    except ValueError:
        made = None
    if made is None or made.version != _UUID7:
        raise RowError("timestamp", f"{MISSING}, and the id is no UUIDv7")
    return datetime.fromtimestamp((made.int >> 80) / 1e3, UTC)


def _feedback(row: Record) -> Verdict:
    if "target_id" not in row:
        shown = needed(identifier(row, "inference_id"), "inference_id")
        return Verdict((("call", shown),), "demonstration", None, _demonstrated(row.get("value")))
    target = needed(identifier(row, "target_id"), "target_id")
    kind = text(row, "target_type")
    kinds = {"inference": ("call",), "episode": ("session",)}.get(kind or "", ("call", "session"))
    about = tuple((one, target) for one in kinds)
    if "metric_name" not in row:
        return Verdict(about, "comment", None, needed(text(row, "value"), "value"))
    name = needed(text(row, "metric_name"), "metric_name")
    return Verdict(about, name, real(row, "value"))


def _demonstrated(value: object) -> str:
    shown = messages_of(parsed(value), role="assistant", where="value")[0].get("content")
    if shown is None:
        raise RowError("value", MISSING)
    return str(shown)
