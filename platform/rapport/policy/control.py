"""The control group: users who are answered without personalisation, to measure it against."""

import hashlib

CONTROL_SHARE = 0.05


def in_control(user_id: str) -> bool:
    """Whether a user belongs to the 5 % that are answered unpersonalised, sticky by hash.

    Args:
        user_id: Keyed hash.
    """
    digest = hashlib.blake2b(user_id.encode(), digest_size=8, person=b"control").digest()
    return int.from_bytes(digest, "big") / 2**64 < CONTROL_SHARE
