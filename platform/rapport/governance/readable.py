"""What of a decision may be read back."""

from collections.abc import Mapping
from typing import Any

from rapport.schema import CRISIS_FACET

_NO_AFFECT: Mapping[str, Any] = {
    "persona_id": None,
    "persona_version": None,
    "persona_margin": None,
    "context_embedding": None,
    "features": {},
}


def reads_affect(row: Mapping[str, Any], *, opened: bool) -> bool:
    """Whether what was inferred of a decision's user may be read.

    Args:
        row: Of the table `decisions`.
        opened: Whether whoever reads may read affect at all; the user must have agreed too.
    """
    return opened and "infer_affect" in row["purposes"]


def readable(row: Mapping[str, Any], *, opened: bool) -> dict[str, Any]:
    """Give a decision's row as far as it may be read; see `reads_affect`.

    Persona, emotion, sentiment and crisis are affect: elsewhere they are null or empty.
    """
    if reads_affect(row, opened=opened):
        return dict(row)
    crisis = any(each["guard"] == CRISIS_FACET for each in row["candidates"])
    candidates = [
        {
            **each,
            "features": {},
            "guard": None if each["guard"] == CRISIS_FACET else each["guard"],
            "text": None if crisis else each["text"],
        }
        for each in row["candidates"]
    ]
    return {**row, **_NO_AFFECT, "candidates": candidates}
