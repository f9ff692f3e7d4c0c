import torch
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.language.batches import REPLY_TOKENS, Encoded, batches, encode_examples, pad
from rapport.language.examples import Example
from rapport.language.loading import LanguageModel
from rapport.language.prompts import Message, build, encode

ARM = load_menu()["question"]


def an_example(reply: str = "And then?") -> Example:
    messages = [Message(role="user", content="I feel low.")]
    return Example(messages=messages, reply=reply, arm=ARM, persona="wry-03", user="u")


def of_length(*lengths: int) -> list[Encoded]:
    return [Encoded(tuple(range(n)), n // 2, "u") for n in lengths]


def test_an_example_is_the_prompt_that_serving_writes_and_the_reply_with_its_end(
    loaded: LanguageModel,
):
    [encoded] = encode_examples(loaded.tokenizer, [an_example()])

    prompt = encode(loaded.tokenizer, build(an_example().messages, arm=ARM), max_tokens=500)
    assert list(encoded.ids[: encoded.start]) == prompt
    assert loaded.tokenizer.decode(encoded.ids[encoded.start :]) == "And then?<|im_end|>"


def test_a_reply_that_was_cut_has_no_end(loaded: LanguageModel):
    [encoded] = encode_examples(loaded.tokenizer, [an_example("word " * 300)])

    assert len(encoded.ids) - encoded.start == REPLY_TOKENS
    assert encoded.ids[-1] != loaded.tokenizer.eos_token_id


@given(
    lengths=st.lists(st.integers(1, 50), max_size=60),
    budget=st.integers(10, 200),
    seed=st.integers(0, 9),
    shuffle=st.booleans(),
)
def test_batches_hold_every_example_once_within_the_budget(lengths, budget, seed, shuffle):
    encoded = of_length(*lengths)

    made = list(batches(encoded, batch_tokens=budget, seed=seed, shuffle=shuffle))

    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_similar_lengths_share_a_batch():
    lengths = [10, 40] * 50
    made = list(batches(of_length(*lengths), batch_tokens=80, seed=0))

    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in made)

    assert padded < 1.05 * sum(lengths)


def test_batches_repeat_by_seed_and_come_in_another_order_by_another():
    encoded = of_length(*range(1, 40))

    first = list(batches(encoded, batch_tokens=60, seed=1))

    assert first == list(batches(encoded, batch_tokens=60, seed=1))
    assert first != list(batches(encoded, batch_tokens=60, seed=2))


def test_padding_follows_the_end_and_the_mask_covers_replies_alone():
    ids, reply = pad([Encoded((5, 6, 7), 1, "a"), Encoded((8, 9), 1, "b")], torch.device("cpu"))

    assert ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert reply.tolist() == [[False, True, True], [False, True, False]]
