"""The Llama decoder in plain torch: fused products, rows that come and go, mixed adapters.

Several times faster a token than the framework's own module on a CPU, where the cost of small
operators rules, and able to give each row of a batch an adapter of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rapport.errors import ConfigError
from rapport.language.branching import Branches, sight
from rapport.language.cache import KeyValueCache
from rapport.language.loading import Model
from rapport.language.lora import SITES, AdapterBank, Selection, Shape

ARCHITECTURES = ("llama", "qwen2")
"""Model types with exactly this decoder; qwen2 adds a bias to q, k and v."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Layer:
    norms: tuple[Tensor, Tensor]
    weights: dict[str, Tensor]
    biases: dict[str, Tensor | None]


@dataclass
class _Row:
    length: int
    adapter: int


class LlamaDecoder:
    """Next-token logits for up to `rows` replies at once.

    Not thread-safe. The model handed in must not be used afterwards.
    """

    def __init__(self, model: Model, *, rows: int, max_adapters: int) -> None:
        """Take over a transformers model's weights.

        Raises:
            ConfigError: The model is not of a known architecture.
        """
        config = model.config
        _check(config)
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._epsilon = config.rms_norm_eps
        inner, head = model.model, model.lm_head
        self._embedding: Tensor = inner.embed_tokens.weight
        self._head: Tensor = head.weight
        self._norm: Tensor = inner.norm.weight
        self._rotary = inner.rotary_emb
        shape = _shape(inner.layers)
        self._width = shape.outputs["k_proj"] // self._groups
        self._layers = [_fuse(layer) for layer in inner.layers]
        dtype, device = self._embedding.dtype, self._embedding.device
        self.bank = AdapterBank(shape, capacity=max_adapters, dtype=dtype, device=device)
        sizes = (shape.layers, rows, self._groups, self._width)
        self._cache = KeyValueCache(sizes, dtype=dtype, device=device)
        self._rows: list[_Row] = []
        self._selection: Selection | None = None  # of the rows; none when they changed

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self._embedding.device

    @torch.inference_mode()
    def admit(self, prompts: Sequence[Sequence[int]], adapters: Sequence[int]) -> Tensor:
        """Begin replies to prompts of token ids; logits [N, V] of their first tokens.

        The new rows come after the present ones, in order.
        """
        first = len(self._rows)
        self._rows += [_Row(len(p), a) for p, a in zip(prompts, adapters, strict=True)]
        tokens = self._padded(prompts)
        self._cache.reserve(tokens.shape[1] + 1)

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            self._cache.fill(layer, first, keys, values)
            return _causal(queries, keys, values)

        hidden = self._forward(tokens, self._places(tokens), self.bank.select(adapters), attend)
        self._selection = None
        ends = torch.tensor([len(prompt) - 1 for prompt in prompts], device=self.device)
        return self._logits(hidden[torch.arange(len(prompts), device=self.device), ends])

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int]) -> Tensor:
        """Give every row its newest token; logits [N, V] of the next ones."""
        lengths = [row.length for row in self._rows]
        places = torch.tensor(lengths, device=self.device)
        rows = torch.arange(len(lengths), device=self.device)
        longest = max(lengths) + 1
        self._cache.reserve(longest)
        seen = torch.arange(longest, device=self.device) <= places[:, None]

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            self._cache.append(layer, (rows, places), keys[:, :, 0], values[:, :, 0])
            old_keys, old_values = self._cache.read(layer, len(lengths), longest)
            # The heads of a group share keys: they are read as that many queries of one head.
            grouped = queries.view(len(lengths), self._groups, -1, self._width)
            mixed = F.scaled_dot_product_attention(
                grouped, old_keys, old_values, attn_mask=seen[:, None, None]
            )
            return mixed.reshape(len(lengths), 1, -1)

        if self._selection is None:
            self._selection = self.bank.select([row.adapter for row in self._rows])
        batch = torch.tensor(tokens, device=self.device)[:, None]
        hidden = self._forward(batch, places[:, None], self._selection, attend)
        for row in self._rows:
            row.length += 1
        return self._logits(hidden[:, 0])

    @torch.inference_mode()
    def drop(self, row: int) -> None:
        """End a reply: the last row takes its place."""
        last = self._rows.pop()
        if row < len(self._rows):
            self._cache.move(len(self._rows), row, last.length)
            self._rows[row] = last
        self._selection = None

    @torch.inference_mode()
    def log_probabilities(
        self, several: Sequence[Branches], adapters: Sequence[int]
    ) -> list[list[Tensor]]:
        """Log probability of each token of every reply, given its prompt and those before it."""
        tokens = self._padded([each.row for each in several])
        places, seen = sight(several, self.device)
        hidden = self._forward(
            tokens,
            places,
            self.bank.select(adapters),
            lambda _layer, queries, keys, values: _mixed(queries, keys, values, seen),
        )
        return [
            [
                self._chances(hidden[row, before], reply)
                for before, reply in zip(each.before, each.replies, strict=True)
            ]
            for row, each in enumerate(several)
        ]

    def _chances(self, hidden: Tensor, reply: Sequence[int]) -> Tensor:
        targets = torch.tensor(reply, device=self.device)[:, None]
        return self._logits(hidden).float().log_softmax(-1).gather(1, targets)[:, 0].cpu()

    def _forward(
        self, tokens: Tensor, places: Tensor, selection: Selection, attend: Attend
    ) -> Tensor:
        hidden = self._embedding[tokens]  # [N, T, D]
        cosine, sine = self._rotary(hidden, places)
        cosine, sine = cosine[:, None], sine[:, None]  # [N, 1, T, width]
        for index, layer in enumerate(self._layers):
            attended = self._attention(index, hidden, (cosine, sine), selection, attend)
            hidden = hidden + self._linear("out", index, attended, selection)
            normed = self._normed(hidden, layer.norms[1])
            gate, up = self._linear("gate_up", index, normed, selection).chunk(2, -1)
            hidden = hidden + self._linear("down", index, F.silu(gate) * up, selection)
        return hidden

    def _attention(
        self,
        index: int,
        hidden: Tensor,
        turn: tuple[Tensor, Tensor],
        selection: Selection,
        attend: Attend,
    ) -> Tensor:
        normed = self._normed(hidden, self._layers[index].norms[0])
        joint = self._linear("qkv", index, normed, selection)
        heads = joint.view(*hidden.shape[:2], -1, self._width).transpose(1, 2)
        turned = self._heads + self._groups
        rotated = _rotated(heads[:, :turned], *turn)
        queries, keys = torch.split(rotated, [self._heads, self._groups], 1)
        return attend(index, queries, keys, heads[:, turned:])

    def _linear(self, site: str, index: int, inputs: Tensor, selection: Selection) -> Tensor:
        layer = self._layers[index]
        outputs = F.linear(inputs, layer.weights[site], layer.biases[site])
        return selection.add(site, index, inputs, outputs)

    def _normed(self, hidden: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(hidden, (hidden.shape[-1],), weight, self._epsilon)

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self._normed(hidden, self._norm), self._head)

    def _padded(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        # Padding comes after the end, where causal attention cannot see it.
        longest = max(len(sequence) for sequence in sequences)
        rows = [[*sequence, *[0] * (longest - len(sequence))] for sequence in sequences]
        return torch.tensor(rows, device=self.device)

    def _places(self, tokens: Tensor) -> Tensor:
        return torch.arange(tokens.shape[1], device=self.device)[None]


def _causal(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    return mixed.transpose(1, 2).flatten(2)


def _mixed(queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen, enable_gqa=True)
    return mixed.transpose(1, 2).flatten(2)


def _rotated(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.chunk(2, -1)
    return heads * cosine + torch.cat((-second, first), -1) * sine


def _modules(layer: Model) -> dict[str, Any]:
    parts = (layer.self_attn, layer.mlp)
    return {
        name: getattr(part, name)
        for names in SITES.values()
        for name in names
        for part in parts
        if hasattr(part, name)
    }


def _fuse(layer: Model) -> _Layer:
    modules = _modules(layer)
    weights, biases = {}, {}
    for site, names in SITES.items():
        weights[site] = torch.cat([modules[name].weight.detach() for name in names])
        bias = [modules[name].bias for name in names if modules[name].bias is not None]
        biases[site] = torch.cat([part.detach() for part in bias]) if bias else None
        for name in names:  # the fused copy replaces it; both would double the memory
            modules[name].weight = None
    norms = (layer.input_layernorm.weight.detach(), layer.post_attention_layernorm.weight.detach())
    return _Layer(norms, weights, biases)


def _shape(layers: Model) -> Shape:
    modules = _modules(layers[0])
    inputs = {site: modules[names[0]].weight.shape[1] for site, names in SITES.items()}
    outputs = {name: module.weight.shape[0] for name, module in modules.items()}
    return Shape(len(layers), inputs, outputs)


def _check(config: Model) -> None:
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError("language_model", config.model_type, f"its type must be one of {known}")
    if config.hidden_act != "silu" or getattr(config, "use_sliding_window", False):
        raise ConfigError("language_model", config.model_type, "it uses another attention or gate")
