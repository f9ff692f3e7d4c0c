import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import DataError
from rapport.users.encoder import UserEncoder
from rapport.users.features import FEATURES
from tests.unit.users.timelines import DIM, a_timeline


def an_encoder(events, *, half_life_days=30.0):
    return UserEncoder.fit(events, encoder_id="words@1", dim=DIM, half_life_days=half_life_days)


def test_a_user_vector_is_mean_behaviour_and_weight():
    events, rows, vectors = a_timeline(users=1, events=10)
    encoder = an_encoder(events, half_life_days=1e9)
    users = encoder.encode(events, rows, vectors)
    parts = encoder.parts(users.vectors)
    assert users.vectors.shape == (1, encoder.width)
    assert users.vectors.dtype == np.float32
    np.testing.assert_allclose(parts.mean[0], vectors.mean(axis=0), atol=1e-5)
    assert parts.n[0] == pytest.approx(len(vectors), rel=1e-5)
    messages = np.expm1(parts.features[0, FEATURES.index("message")])
    assert messages == pytest.approx(len(vectors), rel=1e-5)
    assert users.last_event_ts[0] == events["ts"].max()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 60.0))
def test_observing_event_after_event_is_encoding_the_timeline(seed, half_life_days):
    events, rows, vectors = a_timeline(users=2, events=15, seed=seed)
    encoder = an_encoder(events, half_life_days=half_life_days)
    through = encoder.encode_through(events, rows, vectors)
    before = encoder.encode_before(events, rows, vectors)
    vector, user, last = encoder.empty(), None, None
    for i, (row, event) in enumerate(zip(rows, events.iter_rows(named=True), strict=True)):
        if event["user_id"] != user:
            vector, user, last = encoder.empty(), event["user_id"], None
        elapsed = None if last is None else (event["ts"] - last).total_seconds()
        np.testing.assert_allclose(before[i], encoder.decayed(vector, elapsed or 0.0), atol=1e-4)
        vector = encoder.observe(
            vector,
            kind=event["kind"],
            elapsed_s=elapsed,
            value=event["value"],
            turn_vector=vectors[row] if row >= 0 else None,
        )
        np.testing.assert_allclose(through[i], vector, atol=1e-4)
        last = event["ts"]
    ends = np.flatnonzero(events["user_id"].to_numpy() != np.roll(events["user_id"].to_numpy(), -1))
    users = encoder.encode(events, rows, vectors)
    np.testing.assert_allclose(users.vectors, through[ends], atol=1e-4)


def test_one_user_alone_is_encoded_as_among_the_others():
    events, rows, vectors = a_timeline(users=6)
    encoder = an_encoder(events)
    everybody = encoder.encode(events, rows, vectors)
    own = (events["user_id"] == "user-3").to_numpy()
    alone = encoder.encode(events.filter(own), rows[own], vectors)
    np.testing.assert_allclose(alone.vectors[0], everybody.vectors[3], atol=1e-6)


def test_a_message_without_a_vector_is_an_event_but_no_turn():
    events, rows, vectors = a_timeline(users=1, events=10)
    encoder = an_encoder(events)
    silent = encoder.encode(events, np.full(len(rows), -1), vectors)
    parts = encoder.parts(silent.vectors)
    assert parts.n[0] == 0.0
    assert not parts.mean.any()
    assert parts.features[0, FEATURES.index("message")] > 0


def test_a_saved_encoder_encodes_as_before(tmp_path):
    events, rows, vectors = a_timeline()
    encoder = an_encoder(events)
    encoder.save(tmp_path / "encoder")
    loaded = UserEncoder.load(tmp_path / "encoder")
    assert loaded == encoder
    np.testing.assert_array_equal(
        loaded.encode(events, rows, vectors).vectors, encoder.encode(events, rows, vectors).vectors
    )


def test_a_missing_or_foreign_encoder_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="embed_users"):
        UserEncoder.load(tmp_path)
    events, _, _ = a_timeline()
    an_encoder(events).save(tmp_path)
    file = tmp_path / "user_encoder.json"
    stated = json.loads(file.read_text())
    file.write_text(json.dumps({**stated, "features": ["message"]}))
    with pytest.raises(DataError, match="layout"):
        UserEncoder.load(tmp_path)
