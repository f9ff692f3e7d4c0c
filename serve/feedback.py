"""Feedback: checked against the declared metrics, counted once, on disk before it is answered.

| given for | answer |
|---|---|
| a decision of the caller's tenant, whenever it comes and in whatever order | 200 |
| one whose reply is still being said | 200; it counts once the decision is closed |
| one made in a crisis | 200; it is kept and becomes no reward |
| the same `feedback_id` again, same content | 200, the first answer again; counted once |
| the same `feedback_id` with other content | 409 |
| the same metric again under another id | 200; the later one counts |
| an id never issued, a dry run's, another tenant's, an erased user's | 404 |
| an agent the key is not bound to | 403 |
| a metric that is not declared, a value outside it | 400 |

What a piece of feedback does to the reward is the job `compute_rewards`' business: it computes the
decision's reward anew and adds a version; none is overwritten.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from rapport.affect.languages import readable
from rapport.affect.scorers import AffectScorer
from rapport.errors import ConflictError, NotFoundError, ServingError
from rapport.governance.feedback import NumberMetric, TextMetric
from rapport.governance.redaction import redact
from rapport.governance.tenants import TenantPolicy, policy_of
from rapport.schema import new_id
from rapport.store import GroupCommitter, Store

from .deferral import activate
from .doors import Caller
from .errors import named
from .metrics import Metrics
from .records import now
from .wire import FeedbackRequest


class Feedbacks:
    """Take feedback for decisions and episodes of the caller's tenant."""

    def __init__(
        self,
        store: Store,
        committer: GroupCommitter,
        scorer: AffectScorer,
        *,
        tenants: Mapping[str, TenantPolicy],
        metrics: Metrics,
    ) -> None:
        self._store, self._committer, self._scorer = store, committer, scorer
        self._tenants, self._metrics = tenants, metrics

    async def take(self, caller: Caller, asked: FeedbackRequest) -> dict[str, Any]:
        """Record one piece of feedback; see the table above.

        Returns:
            `feedback_id`, and the sentiment and reward it speaks for by itself (a preview: the
            job `compute_rewards` weighs all channels together).

        Raises:
            ServingError: Unknown metric or a value outside its range.
            ForbiddenError: The key is bound to other agents.
            NotFoundError: A decision or episode that was not issued to this tenant.
            ConflictError: The id is on record with other content.
        """
        row = await asyncio.to_thread(self._row, caller, asked)
        (fresh,) = await self._committer.commit_async([("feedback", row)])
        if fresh:
            self._metrics.heard(asked.metric_name)
        else:
            row = await asyncio.to_thread(self._same, caller.tenant, row)
        sentiment = row["sentiment"]
        return {"feedback_id": row["feedback_id"], "sentiment": sentiment, "reward": sentiment}

    def _row(self, caller: Caller, asked: FeedbackRequest) -> Mapping[str, Any]:
        """The feedback as it is to be recorded; a deferred decision counts from now on."""
        target = self._target(caller.tenant, asked)
        caller.must_speak_for(target["agent_id"])
        said = self._read(caller.tenant, asked, target)
        activate(self._store, target)
        return {
            **{name: target[name] for name in _CARRIED},
            "ts": now(),
            "ts_source": "received",
            "source": "serve",
            "feedback_id": asked.feedback_id or new_id(),
            "decision_id": asked.decision_id,
            "episode_id": target["episode_id"],
            "metric_name": asked.metric_name,
            **said,
        }

    def _same(self, tenant: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Get the row on record under this id, if it says the same."""
        known = self._store.feedback(row["feedback_id"], tenant=tenant)
        if known is None or any(known[name] != row[name] for name in _CONTENT):
            raise ConflictError(
                f"feedback {named(row['feedback_id'])} is on record with other content; "
                "send a change of mind under a new feedback_id",
                "feedback_id",
            )
        return known

    def _target(self, tenant: str, asked: FeedbackRequest) -> Mapping[str, Any]:
        if asked.decision_id:
            kind, name, row = "decision", asked.decision_id, self._store.decision(asked.decision_id)
        else:
            kind, name = "episode", asked.episode_id or ""
            row = self._store.last_decision(tenant, name)
        if row is None or row["tenant"] != tenant:
            raise NotFoundError(f"no {kind} {named(name)} was issued here", f"{kind}_id")
        return row

    def _read(
        self, tenant: str, asked: FeedbackRequest, target: Mapping[str, Any]
    ) -> dict[str, float | str | None]:
        declared = policy_of(self._tenants, tenant).declared()
        metric = declared.get(asked.metric_name)
        if metric is None:
            told = f"metric_name {named(asked.metric_name)} is not declared"
            raise ServingError(f"{told}; declared: {', '.join(declared)}", "metric_name")
        if isinstance(metric, TextMetric):
            return self._text(asked, agreed="infer_affect" in target["purposes"])
        return _number(asked, metric)

    def _text(self, asked: FeedbackRequest, *, agreed: bool) -> dict[str, float | str | None]:
        if not isinstance(asked.value, str) or not asked.value.strip():
            raise ServingError(f"value: {asked.metric_name} takes a text", "value")
        text = redact(asked.value)
        read = agreed and bool(readable([text])[0])
        sentiment = float(self._scorer.sentiment([text])[0]) if read else None
        return {"value": None, "text": text, "sentiment": sentiment}


def _number(asked: FeedbackRequest, metric: NumberMetric) -> dict[str, float | str | None]:
    value = asked.value
    if isinstance(value, str) or not math.isfinite(value) or not metric.taken(value):
        raise ServingError(f"value: {asked.metric_name} takes {metric.expects()}", "value")
    return {"value": float(value), "text": None, "sentiment": metric.sentiment(float(value))}


_CARRIED = ("tenant", "user_id", "agent_id", "journey_id", "purposes", "groups")
_CONTENT = ("decision_id", "episode_id", "metric_name", "value", "text")
