"""Tables of the store. Times are whole microseconds since 1970 UTC; rows are JSON text."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

STORE_VERSION = 2
"""Version of these tables; `rapport.store.migrations` brings older ones here."""

ABANDONED_AFTER = timedelta(minutes=10)
"""Decisions that nobody keeps open are closed so long after their opening."""

metadata = MetaData()

# SQLite gives out ascending keys for INTEGER only, PostgreSQL needs the room of BIGINT.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _key(name: str) -> Column[str]:
    return Column(name, String(200), primary_key=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(200), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _payload() -> Column[str]:
    return Column("payload", Text, nullable=False)


meta = Table("meta", metadata, _key("name"), Column("value", Text, nullable=False))

decisions = Table(
    "decisions",
    metadata,
    _key("decision_id"),
    *(_text("tenant"), _text("user_id"), _text("episode_id")),
    *(_time("ts"), _payload()),
    Index("decisions_by_time", "tenant", "ts"),
    Index("decisions_by_episode", "episode_id"),
)
unfinished = Table(
    "unfinished",
    metadata,
    *(_key("decision_id"), _time("opened")),
    Column("until", BigInteger, nullable=False, server_default="0"),
)
"""Decisions whose reply is still being said; they enter the outbox when it ends.

Past `until` they are abandoned; 0 stands for `ABANDONED_AFTER` from their opening."""
feedback = Table(
    "feedback",
    metadata,
    *(_key("tenant"), _key("feedback_id")),
    *(_text("user_id"), _text("decision_id", nullable=True), _text("episode_id", nullable=True)),
    *(_time("ts"), _payload()),
    Index("feedback_by_decision", "decision_id"),
    Index("feedback_by_episode", "episode_id"),
)
turns = Table(
    "turns",
    metadata,
    _key("turn_id"),
    *(_text("tenant"), _text("user_id"), _text("conversation_id")),
    Column("turn_index", Integer, nullable=False),
    *(_time("ts"), _payload()),
    Index("turns_by_conversation", "conversation_id", "turn_index"),
)
users = Table("users", metadata, _key("tenant"), _key("user_id"), _time("ts"), _payload())

episodes = Table(
    "episodes",
    metadata,
    *(_key("tenant"), _key("user_id"), _key("prefix_hash")),
    _text("episode_id"),
    Column("turn_index", Integer, nullable=False),
)
user_states = Table(
    "user_states",
    metadata,
    *(_key("tenant"), _key("user_id"), _key("encoder_id")),
    _time("last_event_ts"),
    Column("vector", LargeBinary, nullable=False),
    _text("persona_id", nullable=True),
)
minds = Table(
    "minds",
    metadata,
    *(_key("tenant"), _key("user_id"), _key("encoder_id")),
    _time("last_ts"),
    Column("vector", LargeBinary, nullable=True),
    _text("episode_id", nullable=True),
    Column("curve_value", Double, nullable=False),
    Column("curve_scale", Double, nullable=False),
    Column("curve_count", Integer, nullable=False),
    _text("last_arm", nullable=True),
)
"""Users as serving last heard them; `user_states` is how the batch jobs know them."""
outbox = Table(
    "outbox",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    *(_text("table_name"), _text("tenant"), _text("row_id"), _payload()),
    UniqueConstraint("table_name", "tenant", "row_id"),
    Index("outbox_by_table", "table_name", "seq"),
    # Without it SQLite would hand out the numbers of relayed rows again.
    sqlite_autoincrement=True,
)
relayed = Table("relayed", metadata, _key("table_name"), Column("seq", BigInteger, nullable=False))

keys = Table(
    "keys",
    metadata,
    _key("key_hash"),
    *(_text("tenant"), _text("label"), Column("scopes", Text, nullable=False)),
    *(_time("created"), _time("expires", nullable=True), _time("revoked", nullable=True)),
)
switches = Table(
    "switches",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    *(_text("kind"), _text("name"), Column("off", Boolean, nullable=False)),
    *(_text("by"), _time("ts")),
    sqlite_autoincrement=True,
)


def microseconds(moment: datetime) -> int:
    """Whole microseconds from 1970 UTC to a moment with a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The moment, UTC, that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
