"""The encoder that a scorer reads texts with, which must be the one it was trained with."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rapport.errors import ConfigError


class Encoder(Protocol):
    """What turns texts into unit vectors: `rapport.text.TextEncoder`, or what stands for it."""

    encoder_id: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, D] vectors in the order of the texts."""
        ...


def fitting_encoder(encoder: Encoder | None, encoder_id: str) -> Encoder:
    """The encoder given, else the default one, where it is the one that a scorer learned with.

    Raises:
        ConfigError: It is another one.
    """
    if encoder is None:
        from rapport.text import load_encoder  # noqa: PLC0415  (loads a model)

        encoder = load_encoder()
    if encoder.encoder_id != encoder_id:
        remedy = f"the scorer was trained with {encoder_id}: use it, or train the scorer again"
        raise ConfigError("encoder", encoder.encoder_id, remedy)
    return encoder
