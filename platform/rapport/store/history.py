"""Queries that look back over what was decided, page by page."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select

from rapport.store.tables import decisions, microseconds


def decisions_page(
    tenant: str,
    *,
    user_id: str | None,
    episode_id: str | None,
    since: datetime | None,
    after: str | None,
) -> Select[Any]:
    """Payloads of a tenant's decisions, newest first.

    Args:
        tenant: Whose.
        user_id: Keyed hash of the user they were made for, none for all.
        episode_id: Conversation they belong to, none for all.
        since: Earliest moment, with a time zone.
        after: Decision that the page before ended with; an unknown one gives an empty page.
    """
    columns = decisions.c
    query = select(columns.payload).where(columns.tenant == tenant)
    if user_id is not None:
        query = query.where(columns.user_id == user_id)
    if episode_id is not None:
        query = query.where(columns.episode_id == episode_id)
    if since is not None:
        query = query.where(columns.ts >= microseconds(since))
    if after is not None:
        last = select(columns.ts).where(columns.tenant == tenant, columns.decision_id == after)
        ts = last.scalar_subquery()
        older = and_(columns.ts == ts, columns.decision_id < after)
        query = query.where(or_(columns.ts < ts, older))
    return query.order_by(columns.ts.desc(), columns.decision_id.desc())
