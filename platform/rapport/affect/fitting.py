"""Fit heads to labelled texts: the lexical layer, then the vector layer to what it left open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rapport.affect.heads import Heads
from rapport.affect.lexical import Csr, frequent, lexical
from rapport.affect.linear import Float32Array, Loss, fit_linear
from rapport.errors import TooLittleDataError

IntArray = NDArray[np.int64]

LEAST_TEXTS = 30
"""Below this a fit is refused: a fold would see too few."""
FOLDS = 3
_SIGHTINGS = 4
"""Texts a lexical feature must be seen in before it may get weights."""
_SEARCH_STEPS, _STEPS = 30, 60
_LEXICAL_L2, _VECTOR_L2 = 0.5, 0.1
"""Penalties: on GoEmotions .5 to 2 and .03 to .1 differ by less than .01 macro-F1."""


@dataclass(frozen=True)
class Examples:
    """N labelled texts."""

    texts: Sequence[str]
    targets: Float32Array
    """[N, K], see the loss they are fitted with."""
    vectors: Float32Array | None = None
    """[N, D] unit vectors for the second layer, none to leave it out."""


@dataclass(frozen=True)
class Fitted:
    """Heads, and the scores of each text by heads that were fitted without it."""

    heads: Heads
    lexical_scores: Float32Array
    """[N, K] by the lexical layer alone."""
    scores: Float32Array
    """[N, K] by both layers; the same as above where there are no vectors."""


def fit_heads(examples: Examples, *, loss: Loss, rows: int, seed: int) -> Fitted:
    """Fit both layers; the second to the errors of the first on texts it had not seen.

    Args:
        examples: What to learn from.
        loss: `each` for K yes-or-no outputs, `one_of` for one choice out of K.
        rows: Most lexical features kept: those that move the scores most.
        seed: Deals the texts to the folds.

    Raises:
        TooLittleDataError: Fewer than 30 texts.
    """
    count = len(examples.texts)
    if count < LEAST_TEXTS:
        raise TooLittleDataError("labelled texts", count, LEAST_TEXTS)
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    whole, everything = lexical(examples.texts), np.arange(count)
    kept = _telling(whole, examples, loss=loss, rows=rows)
    features = whole[:, kept]
    unseen = np.empty_like(examples.targets)
    for train, test in _splits(fold):
        layer = _first_layer(kept, features, examples, loss=loss, train=train)
        unseen[test] = layer.lexical_scores(features[test])
    heads = _first_layer(kept, features, examples, loss=loss, train=everything)
    if examples.vectors is None:
        return Fitted(heads, unseen, unseen)
    both = unseen.copy()
    for train, test in _splits(fold):
        layer = _second_layer(heads, examples, unseen, loss=loss, train=train)
        both[test] += layer.vector_scores(examples.vectors[test])
    return Fitted(_second_layer(heads, examples, unseen, loss=loss, train=everything), unseen, both)


def _splits(fold: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    for index in range(FOLDS):
        yield np.flatnonzero(fold != index), np.flatnonzero(fold == index)


def _telling(features: Csr, examples: Examples, *, loss: Loss, rows: int) -> IntArray:
    """Columns with the largest squared weight summed over outputs, times the rows showing them."""
    seen = frequent(features, least=min(_SIGHTINGS, 1 + len(examples.texts) // 200))
    if len(seen) <= rows:
        return seen
    matrix, _ = fit_linear(
        features[:, seen], examples.targets, loss=loss, l2=2 * _LEXICAL_L2, steps=_SEARCH_STEPS
    )
    shown = np.bincount(features.indices, minlength=features.shape[1])[seen]
    telling = np.square(matrix).sum(axis=1) * shown
    return np.sort(seen[np.argsort(-telling, kind="stable")[:rows]])


def _first_layer(
    kept: IntArray, features: Csr, examples: Examples, *, loss: Loss, train: IntArray
) -> Heads:
    matrix, intercept = fit_linear(
        features[train],
        examples.targets[train],
        loss=loss,
        l2=_LEXICAL_L2,
        steps=_STEPS,
    )
    # Rounded before the second layer is fitted, so that it learns what rounding lost as well.
    scale = np.maximum(np.abs(matrix).max(axis=0, initial=0.0) / 127, np.float32(1e-12))
    outputs = matrix.shape[1]
    return Heads(
        kept=kept,
        lexical=np.rint(matrix / scale).astype(np.int8),
        scale=scale,
        intercept=np.stack([intercept, np.zeros(outputs, dtype=np.float32)]),
        vector=np.zeros((0, outputs), dtype=np.float32),
    )


def _second_layer(
    heads: Heads, examples: Examples, offset: Float32Array, *, loss: Loss, train: IntArray
) -> Heads:
    assert examples.vectors is not None
    matrix, intercept = fit_linear(
        examples.vectors[train],
        examples.targets[train],
        loss=loss,
        offset=offset[train],
        l2=_VECTOR_L2,
        steps=_STEPS,
    )
    both = np.stack([heads.intercept[0], intercept])
    return replace(heads, intercept=both, vector=matrix)
