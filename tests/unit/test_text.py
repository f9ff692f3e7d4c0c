from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rapport.config import ENCODER_URI
from rapport.testing import tiny_encoder
from rapport.text import MAX_TOKENS, TextEncoder, batches, computes_in_bf16, load_encoder

TEXTS = [
    "I am worried",
    "",
    "a",
    "a question about work and everything else that is going on",
    "ok ok",
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return TextEncoder(tiny_encoder(tmp_path_factory.mktemp("models") / "tiny"))


def test_vectors_are_unit_and_in_the_callers_order(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    np.testing.assert_allclose(vectors, backwards, atol=2e-2)


def test_padding_does_not_move_a_vector(encoder):
    together = encoder.encode(TEXTS, batch_size=5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert (np.sum(together * alone, axis=1) > 0.999).all()


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_a_long_text_is_cut_at_the_last_token(encoder):
    start = "a " * (MAX_TOKENS + 10)
    np.testing.assert_array_equal(encoder.encode([start]), encoder.encode([start + "worry " * 50]))


def test_the_mean_is_over_the_tokens_of_the_text(encoder):
    text = "I am worried"
    rows = encoder._tokenizer([text], return_tensors="pt")
    with torch.inference_mode():
        states = encoder._model(**rows).last_hidden_state[0]
    mean = states.mean(dim=0)
    expected = (mean / mean.norm()).numpy()
    assert float(encoder.encode([text])[0] @ expected) > 0.999


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 20), st.integers(1, 2000))
def test_batches_hold_every_text_once_and_keep_their_budget(lengths, batch_size, batch_tokens):
    found = list(batches(lengths, batch_size=batch_size, batch_tokens=batch_tokens))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[i] for i in batch)
        assert len(batch) <= batch_size
        assert len(batch) == 1 or longest * len(batch) <= batch_tokens


def test_bf16_is_for_processors_that_compute_in_it():
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        pytest.skip("/proc/cpuinfo names the processor's features; this system has none")
    native = any(flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16", "amx_tile"))
    assert computes_in_bf16(torch.device("cpu")) == native


def test_an_encoder_is_loaded_once_per_process():
    assert load_encoder() is load_encoder(ENCODER_URI)


def test_the_default_encoder_knows_what_is_alike():
    vectors = load_encoder().encode(
        ["I lost my job last week.", "My company fired me.", "The cake needs more sugar."]
    )
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2


def test_loading_writes_nothing_to_the_terminal(tmp_path, capfd):
    folder = tiny_encoder(tmp_path / "tiny")
    capfd.readouterr()
    TextEncoder(folder)
    assert capfd.readouterr() == ("", "")
