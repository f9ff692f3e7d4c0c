import asyncio

import pytest

from rapport.errors import UnavailableError
from rapport.language.engine import GenerationRequest
from rapport.language.prompts import Message
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine
from rapport.testing import tiny_language_model
from serve import persona_model
from serve.persona_model import Pair, PersonaModel


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_language_model(tmp_path_factory.mktemp("tiny"))
    return PersonaModel(TransformersEngine(folder, places=4))


def a_request(name, *, tokens=6, adapter=None):
    return GenerationRequest(
        request_id=name,
        messages=[Message(role="user", content="hello there")],
        adapter=adapter,
        sampling=Sampling(max_tokens=tokens, temperature=0),
    )


async def said(model, request, folder=None):
    deltas = [delta async for delta in model.stream(request, folder)]
    return "".join(delta.text for delta in deltas), deltas[-1]


def test_concurrent_requests_get_their_own_replies(model):
    async def several():
        return await asyncio.gather(*(said(model, a_request(f"r{i}")) for i in range(6)))

    replies = asyncio.run(several())
    assert len({text for text, _ in replies}) == 1  # the same prompt, greedily
    assert {last.request_id for _, last in replies} == {f"r{i}" for i in range(6)}
    assert all(last.finish for _, last in replies)


def test_a_caller_who_leaves_frees_his_place(model):
    async def leaves():
        stream = model.stream(a_request("gone", tokens=500))
        await anext(stream)
        await stream.aclose()
        return await said(model, a_request("next"))

    _, last = asyncio.run(leaves())
    assert last.finish


def test_an_adapter_that_is_not_there_is_unavailable(model):
    with pytest.raises(UnavailableError, match="adapter"):
        asyncio.run(said(model, a_request("x", adapter="r/none")))


def test_a_broken_adapter_folder_is_unavailable_and_harms_nobody_else(model, tmp_path):
    with pytest.raises(UnavailableError):
        asyncio.run(said(model, a_request("y", adapter="r/broken"), str(tmp_path)))
    assert asyncio.run(said(model, a_request("z")))[1].finish


def test_past_the_bound_a_caller_is_refused_at_once(model, monkeypatch):
    monkeypatch.setattr(persona_model, "MAX_WAITING", 0)
    with pytest.raises(UnavailableError, match="too many"):
        asyncio.run(said(model, a_request("full")))


def test_scores_come_with_their_gain_over_no_context(model):
    prompt = [Message(role="system", content="be kind"), Message(role="user", content="hello")]
    scores = asyncio.run(model.score([Pair(prompt, "hi"), Pair(prompt, "go away")]))
    assert len(scores) == 2
    assert all(likelihood < 0 for likelihood, _ in scores)
