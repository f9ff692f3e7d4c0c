"""Tiny random models in Hugging Face layout: seconds to make, the same bytes for the same seed.

They answer nonsense and embed at random, but have the parts, special tokens and chat template of
the default models, so every code path that loads one of those loads one of these.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rapport.arms import agents, load_menu

SPECIAL = {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
}
"""SmolLM2's, under the same ids."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_language_model(folder: Path, *, seed: int = 0, vocabulary: int = 512) -> Path:
    """Make a random Llama of 2 layers (about 60k parameters) with SmolLM2's special tokens.

    Args:
        folder: Where config, weights and tokenizer go; made if missing.
        seed: Of the weights.
        vocabulary: Tokens of the byte-level BPE trained on the shipped menus, >= 300.
    """
    import torch  # noqa: PLC0415  (row builders must import without it)
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_byte_level(vocabulary),
        model_max_length=512,
        **SPECIAL,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = LlamaForCausalLM(config)
    return _saved(model, tokenizer, folder)


def tiny_encoder(folder: Path, *, seed: int = 0, dim: int = 32, texts: Iterable[str] = ()) -> Path:
    """Make a random BERT of 2 layers with a WordPiece vocabulary of letters and menu words.

    Args:
        folder: Where config, weights and tokenizer go; made if missing.
        seed: Of the weights.
        dim: Length of a vector, a multiple of 4.
        texts: Their words are in the vocabulary too; other words are spelled out, which is slow.
    """
    import torch  # noqa: PLC0415  (row builders must import without it)
    from transformers import BertConfig, BertModel, BertTokenizer  # noqa: PLC0415

    tokenizer = BertTokenizer(
        vocab={token: index for index, token in enumerate(_pieces(texts))}, model_max_length=256
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=256,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = BertModel(config, add_pooling_layer=False)
    return _saved(model, tokenizer, folder)


def _saved(model: Any, tokenizer: Any, folder: Path) -> Path:  # noqa: ANN401  (untyped library)
    from rapport.model_sources import quiet_transformers  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _corpus() -> list[str]:
    arms = [arm for agent in agents() for arm in load_menu(agent).arms]
    return [text for arm in arms for text in (arm.prompt, *arm.exemplars, *arm.replies)]


def _byte_level(vocabulary: int) -> Any:  # noqa: ANN401  (untyped library)
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers  # noqa: PLC0415
    from tokenizers.models import BPE  # noqa: PLC0415

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _pieces(texts: Iterable[str]) -> list[str]:
    read = " ".join([*_corpus(), *texts]).lower()
    words = sorted(set(re.findall(r"[a-z]+", read)))
    signs = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*dict.fromkeys([*special, *signs, *(f"##{sign}" for sign in signs), *words])]
