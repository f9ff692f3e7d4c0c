"""Whether a text is in a language whose affect can be read: so far English alone.

Scorers of affect learned from English. Of a message in another language they would say something
all the same, so nothing is inferred of it.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

READ = "en"
"""ISO 639-1 code of the language that is read."""
_LEAST_LETTERS = 8
"""Fewer letters tell no language: "no", "ok" and "haha" are words of many."""
_LEAST_RATIO = 0.02
"""Least probability of English, as a share of the likeliest language's. Of GoEmotions' dev texts
.0004 fall below, of ESConv's messages .0000, and none of 64 short messages in 18 other languages
stays above."""
_LATIN_ENDS = "\u024f"


def readable(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each of N texts is English, or too short to tell: bool [N].

    A text whose letters are mostly of another script than Latin is not, however short. About
    20,000 short texts/s after .6 s once a process.

    Source: py3langid (Lui & Baldwin, ACL 2012; 139 languages, BSD-3-Clause).
    """
    return np.array([_readable(text) for text in texts], dtype=bool)


def _readable(text: str) -> bool:
    letters = [sign for sign in text if sign.isalpha()]
    if 2 * sum(sign > _LATIN_ENDS for sign in letters) > len(letters):
        return False
    if len(letters) < _LEAST_LETTERS:
        return True
    likeliest, _ = _identifier().classify(text)
    if likeliest == READ:
        return True
    told = dict(_identifier().rank(text))
    return bool(told[READ] >= _LEAST_RATIO * max(told.values()))


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import (  # noqa: PLC0415  (.6 s to load)
        MODEL_FILE,
        LanguageIdentifier,
    )

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
