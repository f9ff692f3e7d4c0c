"""Lexical features of text: hashed words, word pairs and letter groups, alike on every machine."""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

IntArray = NDArray[np.int64]
Csr = Any
"""scipy CSR matrix, float32; scipy ships no types."""

BITS = 17
"""Each of the two blocks has 2**17 buckets: few collisions among the features worth keeping."""
COLUMNS = 2 << BITS
_GRAMS = (2, 5)
_TOKEN = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
_NEGATORS = frozenset(
    (
        "not", "no", "never", "none", "nobody", "nothing", "nor", "cannot", "without", "hardly",
        "barely", "dont", "doesnt", "didnt", "isnt", "wasnt", "arent", "werent", "cant", "wont",
        "couldnt", "wouldnt", "shouldnt", "havent", "hasnt", "hadnt",
    )
)  # fmt: skip
_NEGATED, _REACH = "\u00ac", 3
"""Words after a negation get a mark, up to so many and not beyond a punctuation mark."""
_PAIR, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


def lexical(texts: Sequence[str], *, kept: IntArray | None = None) -> Csr:
    """Hash texts to rows of length at most sqrt(2): [N, COLUMNS], or [N, K] of the kept columns.

    Lower-cased words, pairs of neighbours and punctuation lie in the first half, groups of two to
    five letters inside a word (its edges marked) in the second. Three words after a negation are
    other words than elsewhere. Present or not, no counts; each half is scaled to length 1 over
    all it holds, kept or not. About 10,000 short texts/s.

    Args:
        texts: N texts.
        kept: K ascending column numbers to keep, none for all.

    Source: Das & Chen, Management Science 53, 2007, for the marks of negation.
    """
    vocabulary: dict[str, int] = {}
    ids, lengths = [], []
    for text in texts:
        tokens = _tokens(text)
        ids += [vocabulary.setdefault(token, len(vocabulary)) for token in tokens]
        lengths.append(len(tokens))
    token, row = np.array(ids, dtype=np.int64), np.repeat(np.arange(len(texts)), lengths)
    words = _block(*_words(token, row, list(vocabulary)), count=len(texts))
    letters = _block(*_letters(token, row, list(vocabulary)), count=len(texts))
    whole = sparse.hstack([words, letters], format="csr")
    return whole if kept is None else whole[:, kept]


def frequent(features: Csr, *, least: int) -> IntArray:
    """Columns that at least `least` rows of a lexical matrix [N, COLUMNS] show, ascending."""
    shown = np.bincount(features.indices, minlength=features.shape[1])
    return np.flatnonzero(shown >= least)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    reach = 0
    for token in _TOKEN.findall(text.lower().replace("\u2019", "'")):
        if token in _NEGATORS or token.endswith("n't"):
            tokens.append(token)
            reach = _REACH + 1
            continue
        reach = reach - 1 if token[0].isalnum() else 0
        tokens.append(_NEGATED + token if reach > 0 else token)
    return tokens


def _words(token: IntArray, row: IntArray, vocabulary: Sequence[str]) -> tuple[IntArray, IntArray]:
    hashes = np.array([zlib.crc32(word.encode()) for word in vocabulary], dtype=np.uint64)[token]
    inside = np.flatnonzero(row[1:] == row[:-1])
    pairs = hashes[inside] * _PAIR + hashes[inside + 1]
    return np.concatenate([row, row[inside]]), _bucket(np.concatenate([hashes, pairs]))


def _letters(
    token: IntArray, row: IntArray, vocabulary: Sequence[str]
) -> tuple[IntArray, IntArray]:
    groups = [_groups(word) for word in vocabulary]
    sizes = np.array([len(group) for group in groups], dtype=np.int64)
    flat = np.concatenate(groups) if groups else np.empty(0, dtype=np.uint64)
    starts = np.cumsum(sizes) - sizes
    size = sizes[token]
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.repeat(row, size), _bucket(flat[np.repeat(starts[token], size) + within])


@lru_cache(maxsize=1 << 16)
def _groups(word: str) -> NDArray[np.uint64]:
    edged = f" {word} ".encode()
    shortest, longest = _GRAMS
    hashes = [
        zlib.crc32(edged[start : start + size])
        for size in range(shortest, min(longest, len(edged)) + 1)
        for start in range(len(edged) - size + 1)
    ]
    return np.array(hashes, dtype=np.uint64)


def _bucket(hashes: NDArray[np.uint64]) -> IntArray:
    mixed = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)


def _block(row: IntArray, column: IntArray, *, count: int) -> Csr:
    ones = np.ones(len(row), dtype=np.float32)
    block = sparse.csr_matrix((ones, (row, column)), shape=(count, 1 << BITS))
    block.sum_duplicates()
    sizes = np.diff(block.indptr)
    block.data = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    return block
