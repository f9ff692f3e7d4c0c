import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rapport.errors import ConfigError, UnknownNameError
from rapport.language.engine import Engine, GenerationRequest, complete, generate
from rapport.language.loading import load_language_model
from rapport.language.prompts import Message, encode
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine

from .conftest import EXACT


@pytest.fixture
def engine(model_dir: Path, adapters: dict[str, Path]) -> TransformersEngine:
    return TransformersEngine(model_dir, adapters, places=3, context_tokens=128, hardware=EXACT)


def a_request(name: str = "r", **knobs) -> GenerationRequest:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 12, "seed": 1} | {
        key: knobs.pop(key) for key in list(knobs) if key in Sampling.__dataclass_fields__
    }
    return GenerationRequest(
        request_id=name,
        messages=knobs.pop("messages", [Message(role="user", content="I feel low.")]),
        sampling=Sampling(**settings),
        **knobs,
    )


def test_the_same_seed_gives_the_same_reply_and_another_seed_another(engine: Engine):
    requests = [a_request("a"), a_request("b"), a_request("c", seed=2)]

    first, same, other = complete(engine, requests)

    assert first == same
    assert first.text != other.text
    assert complete(engine, requests)[2] == other


def test_an_adapter_changes_the_reply_and_the_base_model_stays(engine: Engine):
    alone = complete(engine, [a_request(temperature=0)])[0]

    base, wry, shy = complete(
        engine,
        [
            a_request("a", temperature=0),
            a_request("b", temperature=0, adapter="wry-03"),
            a_request("c", temperature=0, adapter="shy-01"),
        ],
    )

    assert base == alone
    assert len({base.text, wry.text, shy.text}) == 3


def test_more_requests_than_places_are_all_answered(engine: Engine):
    requests = [a_request(str(i), seed=i, max_tokens=3 + i) for i in range(8)]

    completions = complete(engine, requests)

    assert all(c.finish in ("stop", "length") for c in completions)
    assert all(c.tokens_out <= 3 + i for i, c in enumerate(completions))
    assert not engine.busy


def test_deltas_join_to_the_reply_and_count_tokens(engine: Engine):
    deltas = [delta for step in generate(engine, [a_request()]) for delta in step]

    assert "".join(delta.text for delta in deltas) == complete(engine, [a_request()])[0].text
    counts = [delta.tokens_out for delta in deltas]
    assert counts == sorted(counts)
    assert [bool(delta.finish) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    assert {delta.tokens_in for delta in deltas} == {deltas[0].tokens_in}


def test_a_reply_ends_at_its_token_limit(engine: Engine):
    [reply] = complete(engine, [a_request(max_tokens=1)])

    assert (reply.finish, reply.tokens_out) == ("length", 1)


def test_a_stop_text_ends_the_reply_before_it(engine: Engine):
    [whole] = complete(engine, [a_request()])
    stop = whole.text[4:6]

    [cut] = complete(engine, [a_request(stop=(stop,))])

    assert cut.finish == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_a_cancelled_reply_ends_and_the_others_go_on_unchanged(engine: Engine):
    requests = [a_request("stays", max_tokens=10), a_request("goes", seed=3, max_tokens=10)]
    alone = complete(engine, requests[:1])[0]
    for request in requests:
        engine.submit(request)
    text = "".join(d.text for _ in range(3) for d in engine.step() if d.request_id == "stays")

    engine.cancel("goes")
    [cancelled, *rest] = engine.step()
    text += "".join(d.text for d in rest)
    while engine.busy:
        text += "".join(d.text for d in engine.step())

    assert (cancelled.request_id, cancelled.finish) == ("goes", "cancelled")
    assert text == alone.text


def test_a_waiting_request_can_be_cancelled_and_unknown_ones_are_ignored(engine: Engine):
    for i in range(4):
        engine.submit(a_request(str(i)))
    engine.step()

    engine.cancel("3")
    engine.cancel("nobody")

    assert [d.request_id for d in engine.step() if d.finish == "cancelled"] == ["3"]


def test_leaving_the_stream_early_frees_the_engine(engine: Engine):
    stream = generate(engine, [a_request("a"), a_request("b")])
    next(stream)

    stream.close()

    assert not engine.busy


def test_a_reply_keeps_its_adapter_when_the_release_changes(
    engine: Engine, adapters: dict[str, Path]
):
    request = a_request(adapter="wry-03", max_tokens=8)
    undisturbed = complete(engine, [request])[0]
    engine.submit(request)
    text = "".join(delta.text for delta in engine.step())

    engine.add_adapter("wry-03", adapters["shy-01"])
    engine.remove_adapter("shy-01")
    while engine.busy:
        text += "".join(delta.text for delta in engine.step())

    assert text == undisturbed.text
    assert engine.adapters == ("wry-03",)
    assert complete(engine, [request])[0].text != undisturbed.text


def test_requests_that_cannot_be_met_are_refused_at_once(engine: Engine):
    with pytest.raises(UnknownNameError, match="dry-09"):
        engine.submit(a_request(adapter="dry-09"))
    with pytest.raises(ConfigError, match="prompt tokens"):
        engine.submit(a_request(max_tokens=126))
    engine.submit(a_request("twice"))
    with pytest.raises(ConfigError, match="request_id"):
        engine.submit(a_request("twice"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="language_model"):
        TransformersEngine(tmp_path)


def test_scores_are_the_chain_rule_over_the_replys_tokens(engine: Engine, model_dir: Path):
    prompts = [[Message(role="user", content=text)] for text in ("Hi.", "My day was long.")]
    replies = ["What happened?", "I see."]

    scores = engine.score(prompts, replies)

    loaded = load_language_model(model_dir, hardware=EXACT)
    for i, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        head = encode(loaded.tokenizer, prompt, max_tokens=100)
        tail = [*loaded.tokenizer(reply, add_special_tokens=False)["input_ids"], 2]
        logits = loaded.model(torch.tensor([head + tail])).logits[0].log_softmax(-1)
        expected = sum(float(logits[len(head) + k - 1, t]) for k, t in enumerate(tail))
        assert scores.total[i] == pytest.approx(expected, abs=1e-4)
        assert scores.tokens[i] == len(tail)
    assert scores.perplexity == pytest.approx(math.exp(-scores.total.sum() / scores.tokens.sum()))


def test_scores_do_not_depend_on_company_or_order(engine: Engine):
    prompts = [[Message(role="user", content="word " * n)] for n in (1, 30, 4)]
    replies, names = ["Yes.", "No, not now.", "Maybe."], ["wry-03", None, "shy-01"]

    together = engine.score(prompts, replies, adapters=names).per_token
    alone = [
        engine.score([prompts[i]], [replies[i]], adapters=[names[i]]).per_token[0] for i in range(3)
    ]

    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_replies_to_one_prompt_are_scored_as_they_are_alone(engine: Engine):
    prompt = [Message(role="user", content="My day was long.")]
    replies = ["Yes.", "No, not now.", "Yes.", "word " * 90] * 4

    together = engine.score([prompt] * len(replies), replies).total
    alone = [engine.score([prompt], [reply]).total[0] for reply in replies[:4]]

    np.testing.assert_allclose(together, alone * 4, atol=1e-4)


def test_the_unconditional_likelihood_needs_no_user_turn(engine: Engine):
    scores = engine.score([[], [Message(role="system", content="Be kind.")]], ["Yes."] * 2)

    assert np.isfinite(scores.total).all()
