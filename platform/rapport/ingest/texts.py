"""What happens to every text before it is stored: crisis texts are replaced, the rest redacted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport.governance.guard import Guard
from rapport.governance.redaction import redact

CRISIS_TEXT = "[CRISIS]"
"""Stands where a text spoke of a crisis."""
CRISIS_FACET = "crisis"
"""Facet of such a turn, and guard of the candidates that were weighed after it."""


def clean(texts: Sequence[str]) -> list[str]:
    """The texts as they may be stored.

    The guard's rules decide what is a crisis; a text that already is `CRISIS_TEXT` stays. About
    20 us a text.
    """
    verdicts = Guard().check_inputs(texts)
    return [
        redact(text) if verdict.safe else CRISIS_TEXT
        for text, verdict in zip(texts, verdicts, strict=True)
    ]


def clean_column(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column of texts as it may be stored, each distinct text checked once; nulls stay."""
    encoded = _one(column).dictionary_encode()
    values = pa.array(clean(encoded.dictionary.to_pylist()), type=pa.string())
    return values.take(encoded.indices)


def in_crisis(column: pa.Array) -> NDArray[np.bool_]:
    """Which rows [N] of a cleaned column stand for a crisis."""
    found: Any = pa.compute.equal(column, CRISIS_TEXT).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column
