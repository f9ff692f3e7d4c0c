"""TF-IDF and logistic regression: the peer that trained scorers are measured beside.

It is fitted in the same run and on the same folds, so that a claim to be better holds for the very
rows it is made on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rapport.affect.held_out import splits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def peer_probability(
    texts: Sequence[Sequence[str]],
    truth: IntArray,
    fold: IntArray,
    *,
    kinds: int,
    beside: FloatArray | None = None,
    inverse_l2: float,
) -> FloatArray:
    """Probability [N, K] of each label by a model that was fitted without the row's fold.

    Words and pairs of words that two training rows show, their counts damped, each text column
    with a vocabulary of its own.

    Args:
        texts: Columns of N texts.
        truth: [N] labels below K.
        fold: [N] as `held_out.folds_of` deals them.
        kinds: K.
        beside: [N, E] further features.
        inverse_l2: scikit-learn's C.
    """
    from scipy import sparse  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415  (seconds)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    found = np.zeros((len(truth), kinds))
    for train, test in splits(fold):
        parts: list[tuple[object, object]] = []
        for column in texts:
            words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
            seen = words.fit_transform([column[row] for row in train])
            parts.append((seen, words.transform([column[row] for row in test])))
        if beside is not None:
            parts.append((sparse.csr_matrix(beside[train]), sparse.csr_matrix(beside[test])))
        model = LogisticRegression(C=inverse_l2, max_iter=150)
        model.fit(sparse.hstack([part[0] for part in parts], format="csr"), truth[train])
        told = model.predict_proba(sparse.hstack([part[1] for part in parts], format="csr"))
        found[np.ix_(test, model.classes_)] = told
    return found
