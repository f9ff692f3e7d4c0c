"""Adapters in memory, stacked so that every row of a batch can use another one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rapport.errors import ConfigError, DataError, UnknownNameError
from rapport.language.adapters import Adapter

SITES: dict[str, tuple[str, ...]] = {
    "qkv": ("q_proj", "k_proj", "v_proj"),
    "out": ("o_proj",),
    "gate_up": ("gate_proj", "up_proj"),
    "down": ("down_proj",),
}
"""Matrix products of a layer, each of one or more of the model's linear modules side by side."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model's linear modules."""

    layers: int
    inputs: Mapping[str, int]
    """Input width by site."""
    outputs: Mapping[str, int]
    """Output width by module."""


@dataclass(frozen=True)
class Selection:
    """The factors of one batch: row i of a product gets row i's adapter."""

    down: Mapping[str, Tensor]
    """[layers, N, in, R] by site; a site that no adapter touches is absent."""
    up: Mapping[str, Tensor]
    """[layers, N, R, out] by site."""

    def add(self, site: str, layer: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """`outputs` [N, T, out] with the adapters' part for `inputs` [N, T, in] added."""
        if site not in self.down:
            return outputs
        low = torch.bmm(inputs, self.down[site][layer])
        return torch.baddbmm(outputs, low, self.up[site][layer])


class AdapterBank:
    """Up to `capacity` adapters of one model. Row 0 is the base model, all zeros.

    A row stays as long as its adapter has its name or a batch holds it, so a reply begun under one
    release ends under it. When all rows are taken, the adapter longest not used makes room. About
    1.4 M numbers a rank-8 adapter of q, k, v, o on SmolLM2-135M.
    """

    def __init__(
        self, shape: Shape, *, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._shape, self._capacity = shape, capacity
        self._dtype, self._device = dtype, device
        self._adapters: dict[int, Adapter] = {}
        self._rows: dict[str, int] = {}  # longest not used first
        self._held: Counter[int] = Counter()
        self._down: dict[str, Tensor] = {}
        self._up: dict[str, Tensor] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the adapters, sorted."""
        return tuple(sorted(self._rows))

    def add(self, name: str, adapter: Adapter) -> None:
        """Add an adapter, replacing one of the same name for batches to come.

        Raises:
            DataError: Its factors do not fit the model.
            ConfigError: Every row is held by a batch.
        """
        self._check(name, adapter)
        self._rows.pop(name, None)
        row = self._free_row()
        self._rows[name], self._adapters[row] = row, adapter
        self._tidy()

    def remove(self, name: str) -> None:
        """Take an adapter's name away; its memory follows when no batch holds it.

        Raises:
            UnknownNameError: No adapter has that name.
        """
        self.row(name)
        del self._rows[name]
        self._tidy()

    def row(self, name: str | None) -> int:
        """Row of an adapter; 0 for none.

        Raises:
            UnknownNameError: No adapter has that name.
        """
        if name is None:
            return 0
        if name not in self._rows:
            raise UnknownNameError("adapter", name, self.names)
        return self._rows[name]

    def hold(self, row: int) -> None:
        """Keep a row until `release` is called as often; its adapter counts as just used."""
        self._held[row] += 1
        name = next((name for name, place in self._rows.items() if place == row), None)
        if name is not None:
            self._rows[name] = self._rows.pop(name)

    def release(self, row: int) -> None:
        """Undo one `hold`."""
        self._held[row] -= 1
        if row and not self._held[row] and row not in self._rows.values():
            self._tidy()

    def select(self, rows: Sequence[int]) -> Selection:
        """Factors for a batch whose i-th row uses adapter row `rows[i]`."""
        if not any(rows):
            return Selection({}, {})
        index = torch.tensor(rows, device=self._device)
        down = {site: stack.index_select(1, index) for site, stack in self._down.items()}
        up = {site: stack.index_select(1, index) for site, stack in self._up.items()}
        return Selection(down, up)

    def _free_row(self) -> int:
        named = {row: name for name, row in self._rows.items()}
        rows = range(1, self._capacity + 1)
        empty = [row for row in rows if row not in named and not self._held[row]]
        idle = [row for row in named if not self._held[row]]  # longest not used first
        if not empty and not idle:
            raise ConfigError("max_adapters", self._capacity, "raise it: all are being used")
        row = (empty or idle)[0]
        self._rows.pop(named.get(row, ""), None)
        return row

    def _check(self, name: str, adapter: Adapter) -> None:
        inputs = {m: self._shape.inputs[site] for site, mods in SITES.items() for m in mods}
        for (layer, module), down in adapter.down.items():
            width, out = inputs.get(module), self._shape.outputs.get(module)
            fits = layer < self._shape.layers and down.shape[1] == width
            if not fits or adapter.up[layer, module].shape[0] != out:
                what = f"adapter {name!r} does not fit this model at {module} of layer {layer}"
                raise DataError(what, "train it on the base model that is served")

    def _tidy(self) -> None:
        used = set(self._rows.values()) | {row for row, holds in self._held.items() if holds > 0}
        self._adapters = {row: a for row, a in self._adapters.items() if row in used}
        touched = {module for a in self._adapters.values() for _, module in a.down}
        sites = [site for site, modules in SITES.items() if touched.intersection(modules)]
        # Stacked on the CPU: each small copy to a GPU would cost as much as one large one.
        self._down = {site: self._stack_down(site).to(self._device) for site in sites}
        self._up = {site: self._stack_up(site).to(self._device) for site in sites}

    def _zeros(self, *sizes: int) -> Tensor:
        rows = max(self._adapters, default=0) + 1
        return torch.zeros((self._shape.layers, rows, *sizes), dtype=self._dtype)

    def _rank(self) -> int:
        return max(adapter.rank for adapter in self._adapters.values())

    def _stack_down(self, site: str) -> Tensor:
        rank, modules = self._rank(), SITES[site]
        stack = self._zeros(self._shape.inputs[site], rank * len(modules))
        for row, adapter in self._adapters.items():
            for (layer, module), factor in adapter.down.items():
                if module in modules:
                    first = rank * modules.index(module)
                    stack[layer, row, :, first : first + adapter.rank] = factor.T
        return stack

    def _stack_up(self, site: str) -> Tensor:
        # Block diagonal: each module of the site reads its own ranks and writes its own outputs.
        rank, modules = self._rank(), SITES[site]
        widths = [self._shape.outputs[module] for module in modules]
        stack = self._zeros(rank * len(modules), sum(widths))
        for row, adapter in self._adapters.items():
            for (layer, module), factor in adapter.up.items():
                if module in modules:
                    place = modules.index(module)
                    top, left = rank * place, sum(widths[:place])
                    block = stack[layer, row, top : top + adapter.rank]
                    block[:, left : left + widths[place]] = factor.T
        return stack
