import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import DataError
from rapport.personas.model import Emotions, Habits, PersonaModel, margins
from rapport.users.features import FEATURES, HABITS


def a_model(*, habits: bool = False, emotions: bool = False) -> PersonaModel:
    rng = np.random.default_rng(0)
    return PersonaModel(
        names=("fern-01", "reed-02"),
        origin=np.zeros(3),
        projection=np.eye(3)[:, :1],
        centroids=np.array([[1.0], [-1.0]]),
        log_prior=np.log([0.75, 0.25]),
        spread=0.5,
        temperature=2.0,
        users=np.array([30, 10]),
        encoder_id="words@1",
        habits=Habits(
            rng.uniform(5, 50, len(FEATURES)),
            rng.uniform(0, 1, len(HABITS)),
            rng.normal(size=(len(HABITS), 2)),
            np.array([-0.3, -0.2]),
        )
        if habits
        else None,
        emotions=Emotions(np.full(28, 0.05), rng.normal(size=(28, 2))) if emotions else None,
        found={"null_ratio": 1.9},
    )


def test_the_posterior_of_a_worked_example():
    # Precision 2 / (1 + 2 * .5) / 2 = .5; evidence .5 * (+-.6 - .5); odds 3 * exp(.6).
    posterior = a_model().posterior(np.array([[0.6, 9.0, 9.0]]), np.array([2.0]))
    odds = 3.0 * np.exp(0.6)
    assert posterior[0] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])


def test_without_turns_the_prior_speaks():
    model = a_model(habits=True)
    anything = np.full((1, 3), 7.0)
    features = np.ones((1, len(FEATURES)), np.float32)
    assert model.posterior(anything, np.zeros(1))[0] == pytest.approx([0.75, 0.25])
    assert model.posterior(anything, np.zeros(1), features)[0] == pytest.approx([0.75, 0.25])


def test_an_emotion_speaks_even_before_the_first_turn():
    model = a_model(emotions=True)
    emotion = np.full((1, 28), 0.05)
    emotion[0, 3] = 0.9
    shifted = model.posterior(np.zeros((1, 3)), np.zeros(1), None, emotion)[0]
    assert model.emotions is not None
    gain = 0.85 * (model.emotions.weights[3, 0] - model.emotions.weights[3, 1])
    assert np.log(shifted[0] / shifted[1]) == pytest.approx(np.log(3.0) + gain)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    st.floats(0, 1e6),
    st.integers(0, 2**31),
)
def test_rows_are_probabilities_whatever_comes_in(mean, n, seed):
    rng = np.random.default_rng(seed)
    posterior = a_model(habits=True, emotions=True).posterior(
        np.array([mean]),
        np.array([n]),
        rng.uniform(0, 8, (1, len(FEATURES))).astype(np.float32),
        rng.random((1, 28)),
    )
    assert posterior.dtype == np.float64
    assert np.isfinite(posterior).all()
    assert posterior.sum() == pytest.approx(1.0, abs=1e-12)


def test_more_turns_saying_the_same_make_surer():
    model, mean = a_model(), np.array([[-0.8, 0.0, 0.0]])
    sure = [model.posterior(mean, np.array([float(n)]))[0, 1] for n in (0, 1, 5, 50, 500)]
    assert sure == sorted(sure)
    # The spread of users about their centroid bounds how sure turns alone can make.
    assert sure[-1] - sure[-2] < 0.02
    assert sure[-1] < 0.7


def test_margins_are_first_minus_second():
    assert margins(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])) == pytest.approx([0.2, 1.0])
    assert margins(np.ones((2, 1))).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("whole", [False, True])
def test_a_saved_model_says_the_same(tmp_path, whole):
    model = a_model(habits=whole, emotions=whole)
    model.save(tmp_path / "personas")
    loaded = PersonaModel.load(tmp_path / "personas")
    assert loaded.names == model.names
    assert loaded.version == model.version
    assert loaded.encoder_id == "words@1"
    assert loaded.found == model.found
    rng = np.random.default_rng(1)
    asked = (
        rng.normal(size=(5, 3)),
        np.arange(5.0),
        rng.uniform(0, 3, (5, len(FEATURES))).astype(np.float32),
        rng.random((5, 28)),
    )
    np.testing.assert_array_equal(loaded.posterior(*asked), model.posterior(*asked))


def test_a_version_is_of_the_content():
    assert a_model().version == a_model().version
    assert a_model().version != a_model(habits=True).version
    assert a_model().version != a_model().renamed(["fern-01", "moss-02"]).version


def test_a_model_whose_files_were_changed_is_refused(tmp_path):
    with pytest.raises(DataError, match="segment_personas"):
        PersonaModel.load(tmp_path)
    a_model().save(tmp_path)
    file = tmp_path / "personas.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 1.0}))
    with pytest.raises(DataError, match="changed"):
        PersonaModel.load(tmp_path)
