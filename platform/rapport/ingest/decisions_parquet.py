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

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.decision_batch import Logged, decision_batches
from rapport.ingest.mapping import FieldMap
from rapport.ingest.sources import sources
from rapport.ingest.spoken import OPINIONS, WHO
from rapport.ingest.tables import Columns, Row, parquet_rows

SOURCE = "decisions-parquet"

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
    return decision_batches(_records(places, intake.mapping), intake, source=SOURCE)


def _records(places: Sequence[str], mapping: FieldMap) -> Iterator[Logged]:
    for file in sources(places, endings=(".parquet", ".pq")):
        for row in parquet_rows(file, _COLUMNS, mapping):
            yield _logged(row, mapping, position=f"{file.name} {row.position}")


def _logged(row: Row, mapping: FieldMap, *, position: str) -> Logged:
    try:
        return Logged(position, row.record(mapping), row.kept(mapping))
    except RowError as error:
        return Logged(position, error, row.kept(mapping))
