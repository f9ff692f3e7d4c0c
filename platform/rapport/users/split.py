"""Who may teach what: users are dealt to disjoint parts by a hash of their key."""

import hashlib
from collections.abc import Iterable
from typing import Literal

Part = Literal["train", "tune", "gate"]

_SHARES: tuple[tuple[float, Part], ...] = ((0.55, "train"), (0.75, "tune"), (1.0, "gate"))


def part_of(user_id: str) -> Part:
    """Part of a keyed user id: 55 % train, 20 % tune, 25 % gate; the same in every run.

    Adapters and scorers learn from `train` and are measured on `tune`; policies learn from both,
    and are chosen by users whom each model never saw; only the gate ever sees `gate`.
    """
    digest = hashlib.blake2b(user_id.encode(), digest_size=8, person=b"split").digest()
    place = int.from_bytes(digest, "big") / 2**64
    return next(part for bound, part in _SHARES if place < bound)


def users_in(part: Part, user_ids: Iterable[str]) -> frozenset[str]:
    """Those of the users that belong to a part."""
    return frozenset(user for user in user_ids if part_of(user) == part)
