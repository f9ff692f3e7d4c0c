from functools import partial

import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.testing import a_turn, some_feedback, tiny_encoder
from rapport.text import TextEncoder
from rapport.users.embed import (
    BLOCK,
    EmbedSettings,
    aligned,
    embed_turns,
    embed_users,
    missing_turns,
    stream_turns,
    turn_vectors,
)
from rapport.users.states import Kept, StateSettings, update_states
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
    _, first = embed_users(
        lake, stream=words_stream(), encoder_id="words@1", settings=EmbedSettings(budget_s=1e-9)
    )
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


def states(lake):
    return lake.scan("user_embeddings").sort("user_id").collect()


def a_few_more(lake, users=(0, 1)):
    for user in users:
        turn = a_turn(user_id=f"{user:032x}", conversation_id=f"later-{user}", text=f"more {user}")
        later = turn["ts"].replace(year=2027)
        lake.append("turns", [{**turn, "ts": later}], writer="test")


def test_users_with_something_new_are_computed_as_if_all_were(tmp_path):
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1")
    lake = a_lake(tmp_path / "one", users=6)
    first, counts = run(lake, work=tmp_path)
    assert (counts.users, counts.computed, counts.fitted) == (6, 6, True)
    _, idle = run(lake, work=tmp_path)
    assert (idle.computed, idle.fitted) == (0, False)
    a_few_more(lake)
    kept, counts = run(lake, work=tmp_path)
    assert (counts.embedded, counts.computed, counts.fitted) == (2, 2, False)
    assert kept == first
    incremental = states(lake)
    kept_of_all = Kept(first, 6, {})
    whole = update_states(lake, encoder_id="words@1", settings=StateSettings(), kept=kept_of_all)
    assert (whole.computed, whole.fitted) == (6, False)
    assert states(lake).equals(incremental)


def test_new_feedback_and_turns_that_waited_for_a_vector_are_something_new(tmp_path):
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1", work=tmp_path)
    lake = a_lake(tmp_path / "lake", users=4)
    _, first = run(lake, settings=EmbedSettings(budget_s=1e-9))
    assert (first.embedded, first.computed) == (5, 4)
    _, second = run(lake)
    assert (second.embedded, second.left) == (11, 0)
    assert second.computed > 1
    before = states(lake)
    lake.append("feedback", [some_feedback(user_id=f"{3:032x}", feedback_id="new")], writer="t")
    _, third = run(lake)
    assert (third.embedded, third.computed) == (0, 1)
    changed = states(lake)["vector"] != before["vector"]
    assert changed.to_list() == [False, False, False, True]


def test_the_encoder_is_fitted_anew_when_asked_or_when_the_population_has_doubled(tmp_path):
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1", work=tmp_path)
    lake = a_lake(tmp_path / "lake", users=3)
    run(lake)
    a_few_more(lake, users=(10, 11, 12))
    assert not run(lake)[1].fitted
    a_few_more(lake, users=(13,))
    _, counts = run(lake)
    assert (counts.users, counts.computed, counts.fitted) == (7, 7, True)
    assert run(lake, settings=EmbedSettings(refit=True))[1].fitted
    assert run(lake, settings=EmbedSettings(half_life_days=1.0))[1].fitted


def test_parts_of_any_size_give_the_same_users(tmp_path):
    lake = a_lake(tmp_path / "lake", users=9)
    found = []
    for held in (1, 7, 1000):
        settings = EmbedSettings(held_turns=held, held_texts=held, scratch=tmp_path)
        encoder, _ = embed_users(
            lake, stream=words_stream(), encoder_id="words@1", settings=settings
        )
        found.append((encoder, states(lake)))
    assert found[0][0] == found[1][0] == found[2][0]
    assert found[0][1].equals(found[1][1])
    assert found[0][1].equals(found[2][1])
    assert list(tmp_path.glob("parts-*")) == []


def test_erasure_and_compaction_are_followed_by_the_right_states(tmp_path):
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1", work=tmp_path)
    lake = a_lake(tmp_path / "lake", users=5)
    run(lake)
    before = states(lake)
    lake.erase([f"{2:032x}"])
    for table in ("turns", "turn_embeddings"):
        lake.compact(table)
    _, counts = run(lake)
    assert (counts.users, counts.embedded, counts.fitted) == (4, 0, False)
    assert states(lake).equals(before.filter(before["user_id"] != f"{2:032x}"))


def test_a_run_that_died_before_it_could_say_what_it_wrote_is_made_good(tmp_path):
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1")
    lake = a_lake(tmp_path / "lake", users=5)
    kept, _ = run(lake, work=tmp_path)
    before = states(lake)
    # Another fit rewrote everybody and left no word of it.
    run(lake, settings=EmbedSettings(half_life_days=0.1))
    encoder, counts = run(lake, work=tmp_path)
    assert (counts.computed, counts.fitted) == (5, False)
    assert encoder == kept
    assert states(lake).equals(before)


def test_each_tenant_keeps_its_own_users(tmp_path):
    lake = a_lake(tmp_path / "lake", users=3)
    run = partial(embed_users, stream=words_stream(), encoder_id="words@1")
    run(lake)
    for user in range(4):
        turn = a_turn(tenant="acme", user_id=f"{user:032x}", conversation_id=f"acme-{user}")
        lake.append("turns", [turn], writer="t")
    run(lake, settings=EmbedSettings(tenant="acme"))
    sizes = states(lake).group_by("tenant").len().sort("tenant").rows()
    assert sizes == [("acme", 4), ("default", 3)]
