"""Format `decisions-parquet`: decisions of somebody's own policy, with its own propensities.

One row a decision; foreign names by `--mapping`, foreign arms by its line `arms:`. Columns:

- what could be chosen, one of: `candidates`, a list of structs `{arm, probability, text?,
  nlp_score?, rec_score?}`; `candidate_arms` and `candidate_probabilities`, two lists (and
  `candidate_texts`); or only `arm` with `propensity`: then the menu's other arms share the rest
  evenly, and the row says so in its features (`rest_filled`).
- what was: `action_index`, 0-based, or `arm`. `propensity` may stand beside the probabilities;
  both must agree within 1e-6, and it is kept to the last bit (`propensity_source = logged`).
- `message` (what the user had said) and `reply`: become turns, unless a file of turns brings them
  under the same `conversation_id` and `turn_index` (the reply's place, 0-based).
- `conversation_id` (without it every row is a conversation of its own), `decision_id`, `timestamp`,
  `user_id`, `agent_id`, `journey_id`, `age_band`, `jurisdiction`, `language`, `purposes`.
- what came back: `rating` 1-5, `thumbs`, `task_success` 0-1, `reward` -1-1, `dwell` in seconds,
  `comment`. Silence stays silence.
- `mode` (default arm_first), `delivered` (default full), `explored`, `policy_id`, `policy_version`,
  `latency_ms`, `features` (name to number), `topic`, `goal`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.checks import faults
from rapport.ingest.decision_rows import SOURCE, Decided, decision_rows, parse_decision
from rapport.ingest.sources import sources
from rapport.ingest.spoken import OPINIONS, WHO, opinions
from rapport.ingest.spoken_batch import Gathered
from rapport.ingest.tables import Columns, Row, parquet_rows
from rapport.schema import to_table

DECISION_FIELDS = (
    "candidates", "candidate_arms", "candidate_probabilities", "candidate_texts", "action_index",
    "arm", "propensity", "message", "reply", "conversation_id", "decision_id", "turn_index",
    "timestamp", *WHO, *OPINIONS, "mode", "delivered", "explored", "policy_id", "policy_version",
    "latency_ms", "features", "topic", "goal",
)  # fmt: skip
_COLUMNS = Columns(DECISION_FIELDS, (("candidates", "candidate_arms", "arm"),))


def read_decisions_parquet(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read decisions batch by batch.

    Raises:
        ConfigError: A place that nothing can be read from, or a column is missing.
    """
    gathered = Gathered(intake, SOURCE)
    decided: list[Decided] = []
    for file in sources(places, endings=(".parquet", ".pq")):
        for row in parquet_rows(file, _COLUMNS, intake.mapping):
            decided += _take(row, gathered, position=f"{file.name} {row.position}")
            if len(decided) + len(gathered.rejects) >= intake.chunk_rows:
                yield _batch(decided, gathered)
                decided = []
    yield _batch(decided, gathered)


def _take(row: Row, gathered: Gathered, *, position: str) -> list[Decided]:
    intake = gathered.intake
    gathered.read["decisions"] += 1
    try:
        record = row.record(intake.mapping)
        good, bad = opinions(record)
        shown = row.kept(intake.mapping)
        one = parse_decision(record, intake, opinions=good, position=position, shown=shown)
    except RowError as error:
        kept = row.kept(intake.mapping)
        gathered.refuse(error, table="decisions", position=position, row=kept)
        return []
    gathered.refuse_opinions(bad, record, position=position)
    return [one]


def _batch(decided: Sequence[Decided], gathered: Gathered) -> Batch:
    """Rows of the decisions that keep the rules of the table; the others are refused whole."""
    built = decision_rows(decided, gathered.intake)
    frame = pl.DataFrame(to_table("decisions", [rows.decision for rows in built]))
    wrong = {fault.row: fault for fault in faults("decisions", frame)}
    for place, fault in wrong.items():
        one = built[place].decided
        error = RowError(fault.field, fault.reason)
        gathered.refuse(error, table="decisions", position=one.position, row=one.shown)
    kept = [rows for place, rows in enumerate(built) if place not in wrong]
    tables: dict[str, list[dict[str, Any]]] = {
        "turns": [turn for rows in kept for turn in rows.turns],
        "decisions": [rows.decision for rows in kept],
        "feedback": [one for rows in kept for one in rows.feedback],
    }
    for name in ("turns", "feedback"):
        gathered.read[name] += len(tables[name])
    batch = Batch(
        tables={name: to_table(name, rows) for name, rows in tables.items()},
        read=gathered.read,
        rejects=gathered.rejects,
    )
    gathered.handed_over()
    return batch
