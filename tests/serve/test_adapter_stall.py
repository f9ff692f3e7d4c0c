"""How long a reply that is being written waits while another persona's adapter is loaded."""

import asyncio
import itertools
import statistics
import time

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rapport.config import LANGUAGE_URI
from rapport.language.adapters import find_adapters
from rapport.language.engine import GenerationRequest
from rapport.language.loading import load_language_model
from rapport.language.prompts import Message
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from serve.persona_model import PersonaModel
from tests.statistics.report import say

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LONGEST_S = 1.0
SAID = [Message(role="user", content="My sister called again and I feel torn.")]


def an_adapter(model, folder, *, seed):
    torch.manual_seed(seed)
    config = LoraConfig(r=8, lora_alpha=1, target_modules=MODULES, init_lora_weights=False)
    get_peft_model(load_language_model(model).model, config).save_pretrained(folder)
    return folder


def a_request(name, *, tokens, adapter=None):
    return GenerationRequest(
        request_id=name, messages=SAID, adapter=adapter, sampling=Sampling(max_tokens=tokens)
    )


def test_a_running_stream_hardly_waits_for_an_adapter(tmp_path):
    model = pull(LANGUAGE_URI)
    for seed in range(6):
        an_adapter(model, tmp_path / f"a{seed}", seed=seed)
    adapters = find_adapters(tmp_path)
    persona = PersonaModel(TransformersEngine(model))

    async def story():
        arrived: list[float] = []
        begun: list[float] = []

        async def listens():
            deltas = persona.stream(a_request("long", tokens=300))
            arrived.extend([time.monotonic() async for _ in deltas])

        async def asks():
            await asyncio.sleep(2)
            for name, folder in adapters.items():
                begun.append(time.monotonic())
                request = a_request(name, tokens=2, adapter=f"r/{name}")
                async for _ in persona.stream(request, str(folder)):
                    pass
                await asyncio.sleep(0.5)

        await asyncio.gather(listens(), asks())
        return arrived, begun

    arrived, begun = asyncio.run(story())
    gaps = [after - before for before, after in itertools.pairwise(arrived)]
    spans = list(zip(arrived, gaps, strict=False))
    loading = [
        max(gap for at, gap in spans if at + gap >= start and at <= start + 0.5)
        for start in begun
        if start < arrived[-1] - 0.5
    ]
    say(
        f"a token every {statistics.median(gaps) * 1000:.0f} ms; longest wait while an adapter of "
        f"{len(MODULES)} modules loads and joins: median {statistics.median(loading) * 1000:.0f} "
        f"ms, longest {max(loading) * 1000:.0f} ms of {len(loading)}"
    )
    assert max(loading) < LONGEST_S
