"""What is counted while serving, for Prometheus; no label names a user, a tenant or a key.

Every replica counts for itself. Scrape each one, or sum over them; behind a load balancer a
scrape sees the replica that answers it, which `rapport_process_info` names.
"""

import os
import socket
from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rapport.schema import CRISIS_FACET

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """Counters of one gateway, in a registry of its own. Thread-safe, as the client library is."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, no use
        own = self._registry = CollectorRegistry()
        self._requests = Counter(
            "rapport_requests", "Requests answered.", ["route", "method", "status"], registry=own
        )
        self._seconds = Histogram(
            "rapport_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["route"],
            buckets=_SECONDS,
            registry=own,
        )
        self.in_progress = Gauge("rapport_requests_in_progress", "Requests open.", registry=own)
        self._errors = Counter(
            "rapport_errors", "Requests refused or failed.", ["code"], registry=own
        )
        self._decisions = Counter(
            "rapport_decisions",
            "Replies decided on.",
            ["mode", "delivered", "degraded"],
            registry=own,
        )
        self._explored = Counter("rapport_explored", "Decisions left to chance.", registry=own)
        self._guard = Counter(
            "rapport_guard", "Messages and replies the guard acted on.", ["kind"], registry=own
        )
        self._crises = Counter("rapport_crises", "Messages on the crisis path.", registry=own)
        self._fallbacks = Counter(
            "rapport_fallbacks", "Replies from the approved library.", ["reason"], registry=own
        )
        self._tokens = Counter(
            "rapport_engine_tokens", "Tokens read and written.", ["direction"], registry=own
        )
        self._feedback = Counter(
            "rapport_feedback", "Feedback taken; a repeat is not.", ["metric"], registry=own
        )
        self.commit = Histogram(
            "rapport_store_commit_seconds", "Time of a commit.", buckets=_COMMIT, registry=own
        )
        self._store_up = Gauge("rapport_store_up", "Whether the store answers.", registry=own)
        self._outbox = Gauge(
            "rapport_outbox_rows", "Rows that wait for the lake.", ["table"], registry=own
        )
        self._oldest = Gauge(
            "rapport_outbox_oldest_seconds", "Age of the oldest waiting row.", registry=own
        )
        self._release = Gauge(
            "rapport_release_info", "The release that serves.", ["release_id"], registry=own
        )
        self._refused = Gauge("rapport_releases_refused", "Releases refused.", registry=own)
        process = Gauge("rapport_process_info", "Who counts.", ["host", "pid"], registry=own)
        process.labels(socket.gethostname(), str(os.getpid())).set(1)

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; `route` is the path's template."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def failed(self, code: str) -> None:
        """Count one error by its code."""
        self._errors.labels(code).inc()

    def decided(self, block: Mapping[str, Any], *, tokens_in: int = 0, tokens_out: int = 0) -> None:
        """Count one decision by the `rapport` object its answer carried."""
        degraded, delivered = str(block.get("degraded") or "no"), str(block.get("delivered"))
        self._decisions.labels(str(block.get("mode")), delivered, degraded).inc()
        if block.get("explored"):
            self._explored.inc()
        guard = block.get("guard")
        if guard:
            kind = str(guard).partition(":")[0]
            self._guard.labels(kind).inc()
            if kind == CRISIS_FACET:
                self._crises.inc()
        if delivered == "fallback":
            self._fallbacks.labels(degraded).inc()
        self._tokens.labels("in").inc(tokens_in)
        self._tokens.labels("out").inc(tokens_out)

    def heard(self, metric: str) -> None:
        """Count one piece of new feedback; `metric` is a declared one."""
        self._feedback.labels(metric).inc()

    def waiting(self, rows: Mapping[str, int] | None, *, oldest_s: float) -> None:
        """Note what waits for the lake; None when the store does not answer."""
        self._store_up.set(rows is not None)
        if rows is None:
            return
        self._outbox.clear()
        for table, count in rows.items():
            self._outbox.labels(table).set(count)
        self._oldest.set(oldest_s)

    def serving(self, release_id: str | None, *, refused: int) -> None:
        """Note which release serves."""
        self._release.clear()
        self._release.labels(release_id or "none").set(1)
        self._refused.set(refused)

    def exposed(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
