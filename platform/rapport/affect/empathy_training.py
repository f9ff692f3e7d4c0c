"""Train the empathy scorer on rated replies whose raters marked the parts that show it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from rapport.affect.choice import prior_shift
from rapport.affect.empathy import LEVELS, EmpathyScorer, Reading, by_sentence
from rapport.affect.encoders import Encoder
from rapport.affect.epitome import MECHANISMS, UNRATED, Pairs
from rapport.affect.held_out import HeldOut, folds_of, row_hash, splits, tempered
from rapport.affect.lexical import Csr, frequent
from rapport.affect.linear import Float32Array, fit_linear, one_of
from rapport.affect.peers import peer_probability
from rapport.affect.reply_parts import ReplyParts, gather, marked, sentences_of, summed
from rapport.errors import TooLittleDataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
LEAST_PAIRS = 200
_INNER = 3
_STEPS = 40
_SENTENCE_SIGHTINGS, _SIGHTINGS = 8, 3
_SENTENCE_L2, _SUMMARY_L2, _WHOLE_L2 = 1.0, 0.1, 1.0
_PEER_INVERSE_L2 = 3.0
"""Of 3 and 10 the one that was better for the peer on EPITOME."""


def train_empathy(
    pairs: Pairs, encoder: Encoder, *, facts: Mapping[str, Any], seed: int = 0
) -> tuple[EmpathyScorer, HeldOut]:
    """Train on every pair, and say what would have been read of each by the others alone.

    Five folds, dealt by post. About a minute and a half for 2,500 pairs on one core.

    Args:
        pairs: Rated for all three mechanisms.
        encoder: Of the texts.
        facts: Licence and sources, kept beside the weights.
        seed: Deals the folds.

    Raises:
        TooLittleDataError: Fewer than 200 pairs that are rated for all three.
    """
    rated = (pairs.levels != UNRATED).all(axis=1)
    if rated.sum() < LEAST_PAIRS:
        remedy = "give all three files: emotional-reactions, interpretations, explorations"
        raise TooLittleDataError(
            "pairs rated for all mechanisms", int(rated.sum()), LEAST_PAIRS, remedy
        )
    kept = pairs.only(rated)
    parts = gather(kept.posts, kept.replies, encoder)
    fold = folds_of(kept.post_ids, seed=seed)
    found = [_mechanism(kept, parts, fold, mechanism=place) for place in range(len(MECHANISMS))]
    scorer = EmpathyScorer(
        tuple(reading for reading, _ in found),
        encoder,
        {**facts, "pairs": len(kept.posts), "posts": int(kept.post_ids.max()) + 1, "seed": seed},
    )
    told = [held for _, held in found]
    return scorer, HeldOut(
        rows=row_hashes(kept),
        groups=kept.post_ids,
        truth=kept.levels,
        probability=np.stack([probability for probability, _, _ in told], axis=1),
        chosen=np.stack([chosen for _, chosen, _ in told], axis=1),
        peer=np.stack([taken for _, _, taken in told], axis=1),
    )


def row_hashes(pairs: Pairs) -> NDArray[np.uint64]:
    """[N] name of each pair in what is kept of it."""
    rows = zip(pairs.posts, pairs.replies, strict=True)
    return np.array([row_hash(post, reply) for post, reply in rows], dtype=np.uint64)


def _mechanism(
    pairs: Pairs, parts: ReplyParts, fold: IntArray, *, mechanism: int
) -> tuple[Reading, tuple[FloatArray, IntArray, IntArray]]:
    """Weights of one mechanism; and held-out probabilities [N, 3], levels, levels of the peer."""
    truth = pairs.levels[:, mechanism]
    shown = _shown(pairs, mechanism)
    # Dealt independently of the folds, so that every training set has sentences of each part.
    inner = np.random.default_rng(_INNER).permutation(int(pairs.post_ids.max()) + 1) % _INNER
    inner = inner[pairs.post_ids]
    logs = np.zeros((len(truth), LEVELS))
    for train, test in splits(fold):
        fitted = _fit(parts, truth, shown, train=train, inner=inner)
        logs[test] = fitted.logs(parts)[test]
    peer = np.log(
        np.maximum(
            peer_probability(
                [pairs.replies], truth, fold, kinds=LEVELS, inverse_l2=_PEER_INVERSE_L2
            ),
            1e-9,
        )
    )
    probability, chosen, taken = np.zeros_like(logs), truth * 0, truth * 0
    for rest, test in splits(fold):
        factor = tempered(logs[rest], truth[rest])
        probability[test] = softmax(factor * logs[test], axis=1)
        chosen[test] = (logs[test] - prior_shift(logs[rest], truth[rest])).argmax(axis=1)
        taken[test] = (peer[test] - prior_shift(peer[rest], truth[rest])).argmax(axis=1)
    everything = _fit(parts, truth, shown, train=np.arange(len(truth)), inner=inner)
    final = Reading(
        **{
            **vars(everything),
            "factor": np.array([tempered(logs, truth)]),
            "shift": prior_shift(logs, truth),
        }
    )
    return final, (probability, chosen, taken)


def _shown(pairs: Pairs, mechanism: int) -> IntArray:
    """Level [S] that each sentence shows: its reply's where a rater marked it, else 0."""
    found = []
    rated = zip(pairs.replies, pairs.levels[:, mechanism], pairs.rationales, strict=True)
    for reply, level, rationales in rated:
        told = rationales[mechanism]
        found += [
            int(level) if level > 0 and marked(sentence, told) else 0
            for sentence in sentences_of(reply)
        ]
    return np.array(found)


def _fit(
    parts: ReplyParts, truth: IntArray, shown: IntArray, *, train: IntArray, inner: IntArray
) -> Reading:
    """Fit to the replies `train`: sentences, then replies by sentences unseen, then whole ones."""
    mine = np.zeros(len(truth), dtype=bool)
    mine[train] = True
    sentences = np.flatnonzero(mine[parts.owner])
    kept = frequent(parts.sentence_words[sentences], least=_SENTENCE_SIGHTINGS)
    told = np.zeros((len(shown), LEVELS))
    for part in range(_INNER):
        out = inner[parts.owner[sentences]] == part
        weights = _of_sentences(parts, kept, shown, sentences[~out])
        rows = sentences[out]
        told[rows] = by_sentence(kept, weights, parts)[rows]
    seen = summed(told, parts.owner, replies=len(truth))
    summary = np.column_stack([parts.cues, seen])[train]
    whole_kept = frequent(parts.words[train], least=_SIGHTINGS)
    return Reading(
        sentence_kept=kept,
        sentence=_of_sentences(parts, kept, shown, sentences),
        summary=_weights(summary, truth[train], l2=_SUMMARY_L2),
        whole_kept=whole_kept,
        whole=_weights(
            _beside(parts.words[train][:, whole_kept], parts.replies[train]),
            truth[train],
            l2=_WHOLE_L2,
        ),
        factor=np.ones(1),
        shift=np.zeros(LEVELS),
    )


def _of_sentences(
    parts: ReplyParts, kept: IntArray, shown: IntArray, rows: IntArray
) -> Float32Array:
    features = _beside(parts.sentence_words[rows][:, kept], parts.sentences[rows])
    return _weights(features, shown[rows], l2=_SENTENCE_L2)


def _beside(words: Csr, dense: Float32Array) -> Csr:
    return sparse.hstack([words, sparse.csr_matrix(dense)], format="csr").astype(np.float32)


def _weights(features: Csr, truth: IntArray, *, l2: float) -> Float32Array:
    """[E + 1, 3] weights, the intercept last."""
    targets = np.eye(LEVELS, dtype=np.float32)[truth]
    matrix, intercept = fit_linear(features, targets, loss=one_of, l2=l2, steps=_STEPS)
    return np.vstack([matrix, intercept])
