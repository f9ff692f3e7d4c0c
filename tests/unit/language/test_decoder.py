"""The plain decoder against the transformers library and PEFT, in float32."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from rapport.errors import ConfigError
from rapport.language.adapters import read_adapter
from rapport.language.branching import Branches
from rapport.language.decoder import LlamaDecoder
from rapport.language.loading import load_language_model

from .conftest import EXACT


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    # float32 sums in another order; logits are of the order of 1.
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def sequences(*lengths: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, 500, (n,), generator=generator).tolist() for n in lengths]


@pytest.fixture
def reference(model_dir: Path):
    """Next-token logits of a sequence by the libraries, with a named adapter or none."""

    def logits(sequence: list[int], adapter: Path | None = None) -> torch.Tensor:
        model = load_language_model(model_dir, hardware=EXACT).model
        if adapter:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                model = PeftModel.from_pretrained(model, adapter)
        with torch.no_grad():
            found: torch.Tensor = model(torch.tensor([sequence])).logits[0]
            return found

    return logits


@pytest.fixture
def decoder(model_dir: Path, adapters: dict[str, Path]) -> LlamaDecoder:
    model = load_language_model(model_dir, hardware=EXACT).model
    decoder = LlamaDecoder(model, rows=4, max_adapters=4)
    for name, folder in adapters.items():
        decoder.bank.add(name, read_adapter(folder))
    return decoder


@pytest.mark.parametrize("name", [None, "wry-03", "shy-01"])
def test_a_prompts_logits_are_those_of_peft(decoder, reference, adapters, name):
    [prompt] = sequences(9)

    logits = decoder.admit([prompt], [decoder.bank.row(name)])

    torch.testing.assert_close(logits[0], reference(prompt, adapters.get(name))[-1])


def test_a_mixed_batch_gives_each_row_its_own_adapters_logits(decoder, reference, adapters):
    names = ["wry-03", None, "shy-01", "wry-03"]
    prompts = sequences(3, 11, 6, 8)

    first = decoder.admit(prompts, [decoder.bank.row(name) for name in names])
    second = decoder.advance([7, 8, 9, 10])

    for row, (prompt, name) in enumerate(zip(prompts, names, strict=True)):
        expected = reference([*prompt, 7 + row], adapters.get(name))
        assert_close(first[row], expected[-2])
        assert_close(second[row], expected[-1])


def test_replies_that_come_and_go_do_not_disturb_the_others(decoder, reference, adapters):
    staying, leaving, later = sequences(5, 9, 4)
    row = decoder.bank.row
    decoder.admit([leaving, staying], [row("shy-01"), row("wry-03")])
    decoder.advance([20, 21])
    decoder.drop(0)
    decoder.admit([later], [row(None)])

    logits = decoder.advance([22, 23])

    expected = reference([*staying, 21, 22], adapters["wry-03"])[-1]
    assert_close(logits[0], expected)
    assert_close(logits[1], reference([*later, 23])[-1])


def test_a_long_reply_outgrows_the_cache_and_stays_right(decoder, reference):
    [prompt] = sequences(120)
    decoder.admit([prompt], [0])

    extra = sequences(20, seed=1)[0]
    for token in extra:
        logits = decoder.advance([token])

    assert_close(logits[0], reference([*prompt, *extra])[-1])


def test_log_probabilities_are_those_of_the_library(decoder, reference, adapters):
    first, second = sequences(8, 12)
    rows = [decoder.bank.row("shy-01"), 0]

    several = [Branches(first[:3], [first[3:]]), Branches(second[:10], [second[10:]])]
    (one,), (other,) = decoder.log_probabilities(several, rows)

    for sequence, start, name, part in [(first, 3, "shy-01", one), (second, 10, None, other)]:
        every = reference(sequence, adapters.get(name)).log_softmax(-1)
        expected = [every[place - 1, sequence[place]] for place in range(start, len(sequence))]
        assert_close(part, torch.stack(expected))


def test_replies_to_one_prompt_do_not_see_one_another(decoder):
    prompt, *replies = sequences(6, 4, 1, 7)

    (together,) = decoder.log_probabilities([Branches(prompt, replies)], [0])

    for reply, found in zip(replies, together, strict=True):
        ((alone,),) = decoder.log_probabilities([Branches(prompt, [reply])], [0])
        assert_close(found, alone)


def test_a_bias_and_separate_embeddings_are_kept():
    config = Qwen2Config(
        vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model: Any = Qwen2ForCausalLM(config)
    torch.nn.init.normal_(model.model.layers[0].self_attn.k_proj.bias)
    expected = model(torch.tensor([[5, 6, 7]])).logits[0, -1].detach()

    decoder = LlamaDecoder(model, rows=1, max_adapters=0)

    assert_close(decoder.admit([[5, 6, 7]], [0])[0], expected)


def test_half_precision_stays_near(model_dir: Path, adapters: dict[str, Path], reference):
    half = EXACT._replace(dtype=torch.bfloat16)
    decoder = LlamaDecoder(
        load_language_model(model_dir, hardware=half).model, rows=1, max_adapters=1
    )
    decoder.bank.add("wry-03", read_adapter(adapters["wry-03"]))
    [prompt] = sequences(9)

    logits = decoder.admit([prompt], [1])[0].float()

    expected = reference(prompt, adapters["wry-03"])[-1]
    # bfloat16 keeps 8 bits: a few per cent after two layers.
    assert (logits - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("change", [{"model_type": "gpt_oss"}, {"hidden_act": "gelu"}])
def test_a_model_with_other_arithmetic_is_refused(change):
    config = LlamaConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
    model = LlamaForCausalLM(config)
    for name, value in change.items():
        setattr(model.config, name, value)

    with pytest.raises(ConfigError, match="language_model"):
        LlamaDecoder(model, rows=1, max_adapters=1)
