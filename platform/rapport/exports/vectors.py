"""Decisions as arrays over one list of actions and one of features, for tools that want such."""

from collections.abc import Iterable
from dataclasses import dataclass

from rapport.exports.rows import Logged


@dataclass(frozen=True)
class Names:
    """What the places of a log's arrays stand for, in order of name."""

    actions: tuple[str, ...]
    features: tuple[str, ...]


def names_of(decisions: Iterable[Logged]) -> Names:
    """Read a log once for all actions that could be taken and all features that were known."""
    actions: set[str] = set()
    features: set[str] = set()
    for one in decisions:
        actions |= {name for name, share in one.shares().items() if share > 0}
        features |= one.features.keys()
    return Names(tuple(sorted(actions)), tuple(sorted(features)))
