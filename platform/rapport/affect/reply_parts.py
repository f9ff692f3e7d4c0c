"""What a reply holds that may show empathy: its sentences, and a few counts.

People who rated empathy marked the part of a reply that shows it, so a sentence can be judged by
itself, and a reply by its sentences.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.affect.encoders import Encoder
from rapport.affect.lexical import Csr, lexical
from rapport.affect.linear import Float32Array

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_END = re.compile(r"(?<=[.!?\n])\s+")
_WORDS = re.compile(r"\w+")
_YOU = frozenset(("you", "your", "you're", "youre", "u"))
_I = frozenset(("i", "i'm", "im", "my", "me", "i've"))
_SCALE = 3.0
"""On unit vectors, so that the penalty weighs on them as little as on words."""
_SURE = 1e-3


@dataclass(frozen=True)
class ReplyParts:
    """N replies and their S sentences."""

    owner: IntArray
    """[S] reply of each sentence."""
    sentence_words: Csr
    """[S, columns] lexical features."""
    sentences: Float32Array
    """[S, D + 4] scaled vector, question, length, whether it begins with I, place in the reply."""
    words: Csr
    """[N, columns] lexical features of whole replies."""
    replies: Float32Array
    """[N, 8 + D] cues, scaled vector."""
    cues: Float32Array
    """[N, 8] length, questions, and how often it says you and I; length of the post."""


def gather(posts: Sequence[str], replies: Sequence[str], encoder: Encoder) -> ReplyParts:
    """Look at N replies to N posts; nearly all of the time is the encoder's."""
    parts = [sentences_of(reply) for reply in replies]
    flat = [sentence for part in parts for sentence in part]
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    place = [index / max(len(part) - 1, 1) for part in parts for index in range(len(part))]
    counts = np.array([_of_sentence(sentence) for sentence in flat]).reshape(-1, 3)
    cues = np.array([_cues(*pair) for pair in zip(posts, replies, strict=True)]).reshape(-1, 8)
    both = encoder.encode([*flat, *replies]) * np.float32(_SCALE)
    return ReplyParts(
        owner=np.repeat(np.arange(len(replies)), sizes),
        sentence_words=lexical(flat),
        sentences=np.column_stack([both[: len(flat)], counts, place]).astype(np.float32),
        words=lexical(replies),
        replies=np.column_stack([cues, both[len(flat) :]]).astype(np.float32),
        cues=cues.astype(np.float32),
    )


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, by their end marks and lines; the whole where there are none."""
    return [part for part in _END.split(text.strip()) if part] or [text]


def marked(sentence: str, rationales: str) -> bool:
    """Whether a sentence is, or lies in, or holds, one of the parts (by `|`) a rater marked."""
    said = _plain(sentence)
    words = set(said.split())
    for rationale in rationales.split("|"):
        part = _plain(rationale)
        shown = set(part.split())
        common = len(words & shown)
        inside = bool(said and part) and (said in part or part in said)
        if (
            common
            and (inside or common >= 0.6 * len(shown))
            and 2 * common >= min(len(shown), len(words))
        ):
            return True
    return False


def summed(probability: FloatArray, owner: IntArray, *, replies: int) -> Float32Array:
    """What sentences say of their replies [N, 5], from their levels' probabilities [S, 3].

    Log odds that the likeliest shows something, and shows it strongly; logs of how many do;
    log chance of the likeliest weak one.
    """
    columns = []
    for told in (1 - probability[:, 0], probability[:, 2]):
        most, count = np.zeros(replies), np.zeros(replies)
        np.maximum.at(most, owner, told)
        np.add.at(count, owner, told)
        most = np.clip(most, _SURE, 1 - _SURE)
        columns += [np.log(most / (1 - most)), np.log(count + 10 * _SURE)]
    weak = np.zeros(replies)
    np.maximum.at(weak, owner, probability[:, 1])
    columns.append(np.log(weak + _SURE))
    return np.column_stack(columns).astype(np.float32)


def _plain(text: str) -> str:
    return " ".join(_WORDS.findall(text.lower()))


def _of_sentence(text: str) -> tuple[float, float, float]:
    words = text.lower().split()
    return float("?" in text), np.log1p(len(words)) / 3, float(bool(words) and words[0] in _I)


def _cues(post: str, reply: str) -> tuple[float, ...]:
    words = reply.lower().split()
    asked = reply.count("?")
    return (
        np.log1p(len(words)) / 4,
        float(asked > 0),
        float(asked > 1),
        min(asked, 4) / 4,
        float(reply.rstrip().endswith("?")),
        5 * sum(word in _YOU for word in words) / max(len(words), 1),
        5 * sum(word in _I for word in words) / max(len(words), 1),
        np.log1p(len(post.split())) / 5,
    )
