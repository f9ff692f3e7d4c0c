"""The store: rows committed with their outbox entries, and everything read back online."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, update

from rapport.store import forgetting, tables
from rapport.store.database import Database
from rapport.store.history import decisions_page
from rapport.store.keys import Keys
from rapport.store.minds import MindState, read_mind
from rapport.store.outbox import Outbox
from rapport.store.records import ABANDONED, Change, Episode, Rows, decoded
from rapport.store.scrubbing import scrub
from rapport.store.switches import Switches
from rapport.store.users import UserState, read_state, write_states
from rapport.store.versions import settle
from rapport.store.writes import write


class Store:
    """Online state of one home. Thread-safe.

    `commit` is durable when it returns (SQLite: WAL with synchronous=FULL). Commits of all
    processes take turns, so outbox numbers grow in the order of commits. SQLite takes one
    writing process at a time and lets others wait up to 5 s; more gateways need PostgreSQL.

    Every method that asks the database raises `UnavailableError` when it does not answer.
    """

    def __init__(self, database: Database, store_id: str) -> None:
        self._database = database
        self.id = store_id
        """Made once with the database; names this store's batches in the lake."""
        self.keys = Keys(database)
        self.switches = Switches(database)
        self.outbox = Outbox(database)

    def commit(self, rows: Rows, *, episodes: Sequence[Episode] = ()) -> tuple[bool, ...]:
        """Write rows, their outbox entries and episode positions in one transaction.

        Args:
            rows: (table, row of schema version 1); tables decisions, feedback, turns, users.
            episodes: Where conversations stand now; replaces what was known of a prefix.

        Returns:
            For each row, whether it is new; a row whose id was there before is left alone.

        Raises:
            UnknownNameError: A table the store does not take.
            RowError: A row does not fit its schema; nothing was written.
        """
        return self.write([Change.of(rows, episodes=episodes)])[0]

    def write(self, changes: Sequence[Change]) -> list[tuple[bool, ...]]:
        """Write several callers' changes in one transaction.

        Returns:
            For each change, which of its `rows` are new.
        """
        with self._database.writing() as connection:
            return write(connection, changes)

    def open_decision(self, row: Mapping[str, Any]) -> None:
        """Commit a decision whose reply is about to be said; it reaches the lake once closed.

        Raises:
            RowError: The row does not fit its schema; nothing was written.
        """
        self.write([Change.of(opens=row)])

    def close_decision(
        self, row: Mapping[str, Any], rows: Rows = (), *, episodes: Sequence[Episode] = ()
    ) -> None:
        """Write an opened decision as it ended, with the rows that ended with it."""
        self.write([Change.of(rows, closes=row, episodes=episodes)])

    def keep_open(self, decision_ids: Collection[str], *, until: datetime) -> None:
        """Note that the replies of some open decisions are still being said."""
        mine = tables.unfinished.c.decision_id.in_(decision_ids)
        with self._database.writing() as connection:
            later = update(tables.unfinished).where(mine)
            connection.execute(later.values(until=tables.microseconds(until)))

    def close_abandoned(self, now: datetime) -> int:
        """Close decisions that nobody kept open up to a moment; returns how many.

        Their processes died, or nobody said that a deferred one counts.
        """
        columns, moment = tables.unfinished.c, tables.microseconds(now)
        silent = columns.opened < tables.microseconds(now - tables.ABANDONED_AFTER)
        past = or_(
            and_(columns.until == 0, silent), and_(columns.until > 0, columns.until < moment)
        )
        query = select(columns.decision_id).where(past)
        with self._database.reading() as connection:
            names = connection.scalars(query).all()
        for name in names:
            row = self.decision(name)
            if row is not None:
                self.close_decision(row | {"delivered": "fallback", "degraded": ABANDONED})
        return len(names)

    def unfinished(self) -> int:
        """How many decisions are open: their replies are being said, or their process died."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(tables.unfinished)) or 0

    def decision(self, decision_id: str) -> dict[str, Any] | None:
        """The decision with this id as it was committed."""
        return self._one("decisions", tables.decisions.c.decision_id == decision_id)

    def feedback(self, feedback_id: str, *, tenant: str | None = None) -> dict[str, Any] | None:
        """The feedback with this id; ids are the tenants' own, so name the tenant."""
        columns = tables.feedback.c
        condition = columns.feedback_id == feedback_id
        if tenant is not None:
            condition &= columns.tenant == tenant
        return self._one("feedback", condition)

    def user(self, tenant: str, user_id: str) -> dict[str, Any] | None:
        """The latest profile of a user, a row of `users`."""
        columns = tables.users.c
        return self._one("users", and_(columns.tenant == tenant, columns.user_id == user_id))

    def decisions(
        self,
        tenant: str,
        *,
        user_id: str | None = None,
        episode_id: str | None = None,
        since: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """A tenant's decisions, newest first; `after` is the last one of the page before."""
        query = decisions_page(
            tenant, user_id=user_id, episode_id=episode_id, since=since, after=after
        )
        return self._many("decisions", query.limit(limit))

    def last_decision(self, tenant: str, episode_id: str) -> dict[str, Any] | None:
        """The newest decision of a tenant's conversation."""
        columns = tables.decisions.c
        query = select(columns.payload).where(
            columns.tenant == tenant, columns.episode_id == episode_id
        )
        rows = self._many("decisions", query.order_by(columns.ts.desc()).limit(1))
        return rows[0] if rows else None

    def turns_of(self, conversation_id: str) -> list[dict[str, Any]]:
        """Turns of a conversation in order."""
        columns = tables.turns.c
        query = select(columns.payload).where(columns.conversation_id == conversation_id)
        return self._many("turns", query.order_by(columns.turn_index))

    def feedback_of(
        self, *, decision_id: str | None = None, episode_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Feedback on a decision or on a conversation, oldest first."""
        columns = tables.feedback.c
        about = or_(columns.decision_id == decision_id, columns.episode_id == episode_id)
        return self._many("feedback", select(columns.payload).where(about).order_by(columns.ts))

    def episode_by_prefix(self, tenant: str, user_id: str, prefix_hash: str) -> Episode | None:
        """Where the conversation that starts with this prefix stands."""
        columns = tables.episodes.c
        query = select(tables.episodes).where(
            columns.tenant == tenant, columns.user_id == user_id, columns.prefix_hash == prefix_hash
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Episode(**row._mapping)

    def user_state(self, tenant: str, user_id: str, encoder_id: str) -> UserState | None:
        """What is known of a user in this encoder's space."""
        with self._database.reading() as connection:
            return read_state(connection, tenant, user_id, encoder_id)

    def mind(
        self, tenant: str, user_id: str, encoder_id: str
    ) -> tuple[MindState | None, UserState | None]:
        """A user as serving last heard him, and as the batch jobs know him."""
        with self._database.reading() as connection:
            heard = read_mind(connection, tenant, user_id, encoder_id)
            return heard, read_state(connection, tenant, user_id, encoder_id)

    def put_user_states(self, states: Sequence[UserState]) -> int:
        """Write states, but never over one that knows a later event.

        Returns:
            How many were written.
        """
        with self._database.writing() as connection:
            return write_states(connection, states)

    def erase_users(self, user_keys: Collection[str]) -> dict[str, int]:
        """Delete everything about some users so that no byte stays in the database's files.

        Nobody may serve meanwhile: what is being said would be written again. Safe to repeat.

        Args:
            user_keys: Keyed hashes.

        Returns:
            Rows deleted from each table, those without any left out.
        """
        with self._database.writing() as connection:
            counts = forgetting.erase_users(connection, user_keys)
        scrub(self._database)
        return counts

    def blank_texts(self, tenant: str, *, before: datetime) -> int:
        """Replace a tenant's texts from before a moment by null; `scrub` clears their bytes.

        Returns:
            Rows that held text; each copy on its way to the lake counts once more.
        """
        with self._database.writing() as connection:
            return forgetting.blank_texts(
                connection, tenant=tenant, before=tables.microseconds(before)
            )

    def scrub(self) -> None:
        """Leave no byte of deleted rows in the database's files; others wait meanwhile."""
        scrub(self._database)

    def key_tenant(self, key_hash: str) -> str | None:
        """Tenant of a valid key, none for one unknown, expired or revoked."""
        key = self.keys.valid(key_hash)
        return None if key is None else key.tenant

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _one(self, table: str, condition: Any) -> dict[str, Any] | None:  # noqa: ANN401
        rows = self._many(table, select(tables.metadata.tables[table].c.payload).where(condition))
        return rows[0] if rows else None

    def _many(self, table: str, query: Select[Any]) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            payloads = connection.scalars(query).all()
        return [decoded(table, payload) for payload in payloads]


def open_store(url: str) -> Store:
    """Open the store at a SQLAlchemy URL; the first opening makes its tables and id.

    The tables of an older version are upgraded, rows kept; see `rapport.store.migrations`.

    Raises:
        ConfigError: The URL is wrong, its driver is missing, or a later Rapport made the store.
        UnavailableError: The database does not answer.
    """
    database = Database(url)
    return Store(database, settle(database))
