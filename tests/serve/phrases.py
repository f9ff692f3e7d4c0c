"""What engines must not say, and what people in crisis say: written for the tests alone."""

from pathlib import Path
from typing import Any

import yaml


def _read(name: str) -> Any:
    return yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))


REPLIES: dict[str, list[str]] = _read("hostile.yaml")
"""`hostile` and `harmless`; `||` parts what may leave from the hostile sentence."""
MESSAGES: list[str] = _read("crisis.yaml")
