from importlib import resources

import numpy as np
import pytest

from rapport.affect import AffectScorer, load_scorer
from rapport.affect.scorers import EMOTIONS
from rapport.affect.training import train_affect
from rapport.errors import ConfigError, ModelHashError
from tests.unit.affect.replies import unit_vectors
from tests.unit.affect.test_training import labelled

PLAIN = {
    1: [
        "I am so happy, thank you!",
        "This is great news",
        "That helps a lot, I feel much better now",
        "I feel calm and hopeful",
        "What a wonderful day",
    ],
    -1: [
        "I feel terrible today.",
        "My boss shouted at me and I cried",
        "I hate this",
        "That does not help, you are not listening",
        "I don't feel good at all",
        "I am lonely, worried and tired",
    ],
}


@pytest.fixture(scope="module")
def shipped():
    return load_scorer()


@pytest.fixture(scope="module")
def small():
    texts, labels = labelled(120)
    return train_affect(texts, labels, unit_vectors(120), encoder_id="tiny@1")


@pytest.mark.parametrize("sign", [1, -1])
def test_the_shipped_sentiment_has_the_right_sign_on_plain_english(shipped, sign):
    assert (sign * shipped.sentiment(PLAIN[sign]) > 0.05).all()


def test_a_flat_statement_lies_between_joy_and_misery(shipped):
    low, flat, high = shipped.sentiment(
        ["I hate this", "The meeting is on Monday", "This is great news"]
    )
    assert low < flat < high
    assert abs(flat) < 0.3


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("Thank you so much!", "gratitude"),
        ("I am scared of the dark", "fear"),
        ("I'm so sorry for what I did", "remorse"),
        ("lol that is hilarious", "amusement"),
        ("Why would you do that? I don't get it.", "confusion"),
    ],
)
def test_the_shipped_scorer_names_emotions(shipped, text, emotion):
    assert emotion in shipped.named(shipped.emotion([text]), by_words=True)[0]


def test_scores_are_probabilities_and_sentiments(shipped):
    texts = ["", "ok", "!!!", "\U0001f600", "wort " * 500]
    emotion, sentiment = shipped.emotion(texts), shipped.sentiment(texts)
    assert emotion.shape == (5, len(EMOTIONS))
    assert emotion.dtype == sentiment.dtype == np.float64
    assert ((emotion > 0) & (emotion < 1)).all()
    assert (np.abs(sentiment) <= 1).all()
    assert shipped.emotion([]).shape == (0, len(EMOTIONS))


def test_the_shipped_weights_are_small_and_say_where_they_come_from(shipped):
    files = [f for f in resources.files("rapport.affect").iterdir() if "affect" in f.name]
    assert sum(len(f.read_bytes()) for f in files) <= 1_000_000
    assert len(files) == 2
    assert shipped.facts["licence"] == "Apache-2.0"
    assert any("GoEmotions" in source for source in shipped.facts["sources"])
    assert tuple(shipped.facts["labels"]) == EMOTIONS


def test_at_least_the_likeliest_emotion_is_named(shipped):
    probability = np.full((1, len(EMOTIONS)), 1e-6)
    probability[0, EMOTIONS.index("grief")] = 2e-6
    assert shipped.named(probability) == [("grief",)]


def test_the_scorer_of_this_home_goes_before_the_shipped_one(small, tmp_path):
    assert load_scorer(tmp_path).facts["licence"] == "Apache-2.0"
    small.save(tmp_path)
    again, texts = load_scorer(tmp_path), ["I feel great", "sad"]
    assert (again.emotion(texts) == small.emotion(texts)).all()
    assert (
        again.sentiment(texts, unit_vectors(2)) == small.sentiment(texts, unit_vectors(2))
    ).all()
    assert (again.thresholds == small.thresholds).all()


def test_damaged_weights_are_refused_not_replaced_by_the_shipped_ones(small, tmp_path):
    small.save(tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(b"")
    with pytest.raises(ModelHashError):
        load_scorer(tmp_path)


def test_vectors_of_another_encoder_are_left_aside_when_it_is_named(small, tmp_path):
    small.save(tmp_path)
    texts, others = ["I feel great", "sad"], unit_vectors(2, dim=5)
    with pytest.raises(ConfigError):
        load_scorer(tmp_path).emotion(texts, others)
    words = load_scorer(tmp_path, encoder_id="other@2")
    assert (words.emotion(texts, others) == small.emotion(texts)).all()
    assert words.encoder_id is None
    assert (words.thresholds[1] == small.thresholds[0]).all()
    assert load_scorer(tmp_path, encoder_id="tiny@1").encoder_id == "tiny@1"


def test_one_text_is_read_as_it_is_among_many(shipped):
    texts = [text for texts in PLAIN.values() for text in texts]
    alone = np.concatenate([shipped.sentiment([text]) for text in texts])
    assert isinstance(shipped, AffectScorer)
    assert shipped.sentiment(texts) == pytest.approx(alone, abs=1e-6)
