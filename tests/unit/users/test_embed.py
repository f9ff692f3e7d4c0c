import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.testing import a_turn, tiny_encoder
from rapport.text import TextEncoder
from rapport.users.embed import (
    BLOCK,
    aligned,
    embed_turns,
    embed_users,
    missing_turns,
    stream_turns,
    turn_vectors,
)
from rapport.users.timelines import messages
from tests.unit.users.timelines import DIM, a_lake, words_stream


def test_every_turn_and_user_gets_a_vector(tmp_path):
    lake = a_lake(tmp_path, users=3, turns=4)
    encoder, counts = embed_users(lake, stream=words_stream(), encoder_id="words@1")
    assert (counts.turns, counts.embedded, counts.left, counts.users) == (12, 12, 0, 3)
    states = lake.scan("user_embeddings").collect()
    assert states["encoder_id"].unique().to_list() == ["words@1"]
    assert states["vector"].list.len().unique().to_list() == [encoder.width]
    wrote = messages(lake, purpose="infer_affect")
    rows, vectors = aligned(wrote, turn_vectors(lake, encoder_id="words@1"))
    expected = np.vstack([part for _, part in words_stream()(wrote["text"].to_list())])
    np.testing.assert_allclose(vectors[rows], expected, rtol=1e-6)


def test_only_missing_turns_are_embedded(tmp_path):
    lake = a_lake(tmp_path)
    embed_users(lake, stream=words_stream(), encoder_id="words@1")
    assert missing_turns(lake, encoder_id="words@1") == 0
    assert missing_turns(lake, encoder_id="words@2") == 12
    lake.append("turns", [a_turn(user_id="f" * 32, conversation_id="new")], writer="test")
    asked = []

    def listening(texts):
        asked.extend(texts)
        return words_stream()(texts)

    _, counts = embed_users(lake, stream=listening, encoder_id="words@1")
    assert len(asked) == 1
    assert (counts.known, counts.embedded, counts.users) == (12, 1, 4)
    assert lake.scan("turn_embeddings").collect().height == 13
    assert lake.scan("user_embeddings").collect().height == 4


def test_a_spent_budget_keeps_what_is_done_and_the_next_run_goes_on(tmp_path):
    lake = a_lake(tmp_path)
    _, first = embed_users(lake, stream=words_stream(), encoder_id="words@1", budget_s=1e-9)
    assert (first.embedded, first.left) == (5, 7)
    _, second = embed_users(lake, stream=words_stream(), encoder_id="words@1")
    assert (second.known, second.embedded, second.left) == (5, 7, 0)


def test_turns_that_may_not_be_read_for_feeling_are_not_embedded(tmp_path):
    lake = a_lake(tmp_path, without=["infer_affect"])
    with pytest.raises(TooLittleDataError):
        embed_users(lake, stream=words_stream(), encoder_id="words@1")
    assert lake.scan("turn_embeddings").collect().is_empty()


def test_an_empty_lake_says_that_there_is_too_little(tmp_path):
    with pytest.raises(TooLittleDataError, match="ingest"):
        embed_users(Lake(tmp_path), stream=words_stream(), encoder_id="words@1")


def test_a_stream_in_this_process_covers_each_text_once_in_order(tmp_path):
    encoder = TextEncoder(tiny_encoder(tmp_path))
    texts = [f"{'long ' * (i % 7)}text {i}" for i in range(BLOCK + 30)]
    blocks = list(stream_turns(texts, encoder))
    assert [len(rows) for rows, _ in blocks] == [BLOCK, 30]
    assert np.concatenate([rows for rows, _ in blocks]).tolist() == list(range(len(texts)))
    vectors = np.concatenate([part for _, part in blocks])
    # Batches differ between the two, and bf16 keeps 8 bits: cosine is what must agree.
    assert ((vectors * embed_turns(texts, encoder)).sum(axis=1) > 0.9999).all()


def test_alignment_marks_turns_without_a_vector(tmp_path):
    lake = a_lake(tmp_path, users=2, turns=2)
    embed_users(lake, stream=words_stream(), encoder_id="words@1")
    known = turn_vectors(lake, encoder_id="words@1")
    wrote = messages(lake, purpose="infer_affect")
    rows, vectors = aligned(wrote, known.filter(known["turn_id"] != wrote["turn_id"][1]))
    assert vectors.shape == (3, DIM)
    assert (rows == -1).tolist() == [False, True, False, False]
