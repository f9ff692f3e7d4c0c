"""Feedback: checked against the declared metrics, counted once, on disk before it is answered."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rapport.affect.scorers import AffectScorer
from rapport.errors import NotFoundError, ServingError
from rapport.governance.redaction import redact
from rapport.schema import new_id
from rapport.store import GroupCommitter, Store

from .deferral import activate
from .records import now
from .wire import FeedbackRequest


@dataclass(frozen=True)
class Metric:
    """A declared kind of feedback: its range and what it says, in [-1, 1]."""

    low: float
    high: float
    sentiment: Callable[[float], float | None]
    boolean: bool = False


METRICS: Mapping[str, Metric] = {
    "rating": Metric(1, 5, lambda value: (value - 3) / 2),
    "thumbs": Metric(0, 1, lambda value: 2 * value - 1, boolean=True),
    "task_success": Metric(0, 1, lambda value: 2 * value - 1, boolean=True),
    "dwell": Metric(0, 86_400, lambda _value: None),
}
COMMENT = "comment"


class Feedbacks:
    """Take feedback for decisions and episodes of the caller's tenant."""

    def __init__(self, store: Store, committer: GroupCommitter, scorer: AffectScorer) -> None:
        self._store, self._committer, self._scorer = store, committer, scorer

    async def take(self, tenant: str, asked: FeedbackRequest) -> dict[str, Any]:
        """Record one piece of feedback; the same `feedback_id` twice counts once.

        Returns:
            `feedback_id`, and the sentiment and reward it speaks for by itself (a preview: the
            job `compute_rewards` weighs all channels together).

        Raises:
            ServingError: Unknown metric or a value outside its range.
            NotFoundError: A decision or episode that was not issued to this tenant.
        """
        row = await asyncio.to_thread(self._row, tenant, asked)
        (fresh,) = await self._committer.commit_async([("feedback", row)])
        if not fresh:
            known = await asyncio.to_thread(self._store.feedback, row["feedback_id"], tenant=tenant)
            row = known or row
        sentiment = row["sentiment"]
        return {
            "feedback_id": row["feedback_id"],
            "sentiment": sentiment,
            "reward": sentiment,
        }

    def _row(self, tenant: str, asked: FeedbackRequest) -> Mapping[str, Any]:
        """The feedback as it is known already, else as it is to be recorded."""
        target = self._target(tenant, asked)
        feedback_id = asked.feedback_id or new_id()
        known = self._store.feedback(feedback_id, tenant=tenant)
        if known is not None:
            return known
        value, text, sentiment = self._read(asked)
        activate(self._store, target)
        return {
            **{name: target[name] for name in _CARRIED},
            "ts": now(),
            "ts_source": "received",
            "source": "serve",
            "feedback_id": feedback_id,
            "decision_id": asked.decision_id,
            "episode_id": target["episode_id"],
            "metric_name": asked.metric_name,
            "value": value,
            "text": text,
            "sentiment": sentiment,
        }

    def _target(self, tenant: str, asked: FeedbackRequest) -> Mapping[str, Any]:
        if asked.decision_id:
            kind, name, row = "decision", asked.decision_id, self._store.decision(asked.decision_id)
        else:
            kind, name = "episode", asked.episode_id or ""
            row = self._store.last_decision(tenant, name)
        if row is None or row["tenant"] != tenant:
            raise NotFoundError(f"no {kind} {name!r} was issued here", f"{kind}_id")
        return row

    def _read(self, asked: FeedbackRequest) -> tuple[float | None, str | None, float | None]:
        if asked.metric_name == COMMENT:
            if not isinstance(asked.value, str) or not asked.value.strip():
                raise ServingError("value: a comment is a text", "value")
            text = redact(asked.value)
            return None, text, float(self._scorer.sentiment([text])[0])
        metric = METRICS.get(asked.metric_name)
        if metric is None:
            known = ", ".join([*METRICS, COMMENT])
            raise ServingError(
                f"metric_name {asked.metric_name!r} is not declared; declared: {known}",
                "metric_name",
            )
        if isinstance(asked.value, str) or not metric.low <= asked.value <= metric.high:
            raise ServingError(
                f"value: {asked.metric_name} takes {metric.low:g} to {metric.high:g}", "value"
            )
        if metric.boolean and asked.value not in (0, 1):
            raise ServingError(f"value: {asked.metric_name} takes true or false", "value")
        value = float(asked.value)
        return value, None, metric.sentiment(value)


_CARRIED = ("tenant", "user_id", "agent_id", "journey_id", "purposes", "groups")
