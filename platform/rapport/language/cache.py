"""Keys and values of the replies being written, one contiguous row a reply."""

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values [layers, rows, heads, tokens, width] that grow with the longest reply.

    The rows in use are always the first ones: a reply that ends gives its row to the last.
    """

    _STEP = 128  # tokens added at a time, so that growing stays rare

    def __init__(
        self, sizes: tuple[int, int, int, int], *, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Reserve nothing yet; `sizes` are layers, rows, heads and the width of a head."""
        layers, rows, heads, width = sizes
        shape = (layers, rows, heads, 0, width)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def capacity(self) -> int:
        """Tokens a row can hold before the next growth."""
        return self._keys.shape[3]

    def reserve(self, tokens: int) -> None:
        """Make room for rows of that many tokens."""
        missing = tokens - self.capacity
        if missing > 0:
            grown = self._STEP * -(-missing // self._STEP)
            self._keys = torch.nn.functional.pad(self._keys, (0, 0, 0, grown))
            self._values = torch.nn.functional.pad(self._values, (0, 0, 0, grown))

    def fill(self, layer: int, first_row: int, keys: Tensor, values: Tensor) -> None:
        """Write prompts, keys and values [N, heads, T, width], from `first_row` on."""
        rows = slice(first_row, first_row + keys.shape[0])
        self._keys[layer, rows, :, : keys.shape[2]] = keys
        self._values[layer, rows, :, : keys.shape[2]] = values

    def append(self, layer: int, at: tuple[Tensor, Tensor], keys: Tensor, values: Tensor) -> None:
        """Write one token a row, keys and values [N, heads, width], at (rows, places), each [N]."""
        rows, places = at
        self._keys[layer, rows, :, places] = keys
        self._values[layer, rows, :, places] = values

    def read(self, layer: int, rows: int, tokens: int) -> tuple[Tensor, Tensor]:
        """Views [rows, heads, tokens, width] of the first rows' keys and values."""
        return self._keys[layer, :rows, :, :tokens], self._values[layer, :rows, :, :tokens]

    def move(self, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` of a row over another row."""
        for store in (self._keys, self._values):
            store[:, target, :, :tokens] = store[:, source, :, :tokens]
