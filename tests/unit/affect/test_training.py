import numpy as np
import pytest

from rapport.affect.scorers import EMOTIONS
from rapport.affect.training import (
    NEGATIVE,
    POSITIVE,
    Moods,
    best_thresholds,
    f1_scores,
    polarity,
    train_affect,
)
from rapport.errors import DataError, TooLittleDataError
from tests.unit.affect.replies import messages, unit_vectors

JOY, SADNESS = EMOTIONS.index("joy"), EMOTIONS.index("sadness")


def labelled(count, *, seed=0):
    texts, glad = messages(count, seed=seed)
    labels = np.zeros((count, len(EMOTIONS)))
    labels[np.arange(count), np.where(glad > 0, JOY, SADNESS)] = 1
    return texts, labels


def test_the_labels_fall_into_three_groups():
    assert len(EMOTIONS) == 28
    assert set(POSITIVE) | set(NEGATIVE) < set(EMOTIONS)
    neither = set(EMOTIONS) - set(POSITIVE) - set(NEGATIVE)
    assert neither == {"confusion", "curiosity", "realization", "surprise", "neutral"}


def test_polarity_is_the_share_of_positive_less_that_of_negative_labels():
    labels = np.zeros((4, len(EMOTIONS)))
    labels[0, JOY] = labels[1, [JOY, SADNESS]] = labels[
        2, [SADNESS, EMOTIONS.index("surprise")]
    ] = 1
    assert polarity(labels).tolist() == [1.0, 0.0, -0.5, 0.0]


def test_the_best_threshold_is_the_cut_with_the_highest_f1():
    probability = np.array([[0.9], [0.7], [0.6], [0.2]])
    assert best_thresholds(probability, np.array([[1], [1], [0], [0]])).tolist() == [0.7]
    # Cut at .6: 2 of 3 right and none missed, F1 .8; at .9 F1 is .67.
    assert best_thresholds(probability, np.array([[1], [0], [1], [0]])).tolist() == [0.6]


def test_equal_probabilities_are_not_parted():
    probability = np.array([[0.5], [0.5], [0.5], [0.1]])
    threshold = best_thresholds(probability, np.array([[1], [0], [0], [0]]))
    assert (probability >= threshold).sum() in (3, 4)


def test_a_label_that_never_occurs_is_never_named():
    assert best_thresholds(np.array([[0.9], [0.2]]), np.zeros((2, 1))).tolist() == [1.0]


def test_f1_worked_by_hand():
    there = np.array([[True, False], [True, True], [False, False]])
    truth = np.array([[1, 0], [0, 1], [1, 0]])
    # First column: 1 hit, 2 named, 2 true; second: 1, 1, 1.
    macro, micro = f1_scores(there, truth)
    assert macro == pytest.approx((0.5 + 1) / 2)
    assert micro == pytest.approx(4 / 6)


def test_emotion_and_sentiment_are_learned_from_labelled_texts():
    scorer = train_affect(*labelled(300))
    texts, truth = labelled(80, seed=1)
    probability = scorer.emotion(texts)
    assert ((probability[:, JOY] > probability[:, SADNESS]) == (truth[:, JOY] > 0)).all()
    assert (np.sign(scorer.sentiment(texts)) == polarity(truth)).all()
    assert scorer.facts["unseen"]["micro_f1_words"] > 0.98


def test_moods_teach_words_that_the_labels_do_not_know():
    texts, labels = labelled(200)
    moods = Moods(["blorp " + text for text in ["so", "it goes"] * 50], np.full(100, -0.8))
    known = train_affect(texts, labels, moods=moods)
    assert known.sentiment(["blorp"])[0] < -0.5
    assert train_affect(texts, labels).sentiment(["blorp"])[0] > -0.4


def test_vectors_and_their_encoder_belong_together():
    texts, labels = labelled(120)
    vectors = unit_vectors(120)
    assert train_affect(texts, labels, vectors, encoder_id="tiny@1").encoder_id == "tiny@1"
    assert train_affect(texts, labels, encoder_id="tiny@1").encoder_id is None
    moods = Moods(["a text"], np.zeros(1))
    with pytest.raises(DataError, match="only one of"):
        train_affect(texts, labels, vectors, moods=moods)


def test_the_same_input_gives_the_same_scorer():
    one, other = (train_affect(*labelled(90), seed=4) for _ in range(2))
    assert (one.emotions.lexical == other.emotions.lexical).all()
    assert (one.thresholds == other.thresholds).all()


def test_labels_that_do_not_fit_and_too_few_texts_are_refused():
    texts, labels = labelled(60)
    with pytest.raises(DataError, match="28 labels a text"):
        train_affect(texts, labels[:, :5])
    with pytest.raises(TooLittleDataError):
        train_affect(texts[:20], labels[:20])
