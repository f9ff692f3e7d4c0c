"""Structured logs: one JSON object a request, with ids and figures, never text, keys or users."""

import json
import logging
import os
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

LOGGER = logging.getLogger("rapport.serve")
MAX_BYTES = 32 << 20
"""A file this large becomes `.1`, and the `.1` before it goes."""


class JsonLines(WatchedFileHandler):
    """Append records to a file that several processes share; each line is one short write."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, after putting a full file aside."""
        self.reopenIfNeeded()
        if self.stream is not None and self.stream.tell() > MAX_BYTES:
            os.replace(self.baseFilename, f"{self.baseFilename}.1")
        super().emit(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        ts = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"ts": ts, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**said, **facts})


def log_to(folder: Path) -> None:
    """Send this process's request log to `<folder>/serve.jsonl`; safe to call again."""
    path = folder / "serve.jsonl"
    for handler in list(LOGGER.handlers):
        if isinstance(handler, JsonLines):
            LOGGER.removeHandler(handler)
            handler.close()
    handler = JsonLines(path, encoding="utf-8", delay=True)
    handler.setFormatter(_Json())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def tell(event: str, *, level: int = logging.INFO, **facts: Any) -> None:  # noqa: ANN401
    """Write one line; `facts` hold ids and figures only."""
    LOGGER.log(level, event, extra={"facts": facts})
