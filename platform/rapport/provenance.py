"""Each setting of a configuration as it is, with where it comes from; passwords masked."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from rapport.config import Layer, source_of

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_QUERY = re.compile(r"((?:password|secret|token|key)[^=&?]*=)[^&]*", flags=re.IGNORECASE)
_MASK = "***"


class Setting(NamedTuple):
    """One setting as it is."""

    name: str
    """Dotted: `gate.margin`."""
    value: Any
    """As JSON has it."""
    source: str


def settings_of(config: BaseModel, stated: Sequence[Layer]) -> Iterator[Setting]:
    """Give each leaf of a configuration with the strongest source that speaks of it."""
    plain = config.model_dump(mode="json")
    for name, value in _leaves(config, plain):
        yield Setting(name, value, source_of(name, stated))


def masked(text: str) -> str:
    """Hide what in a URL is a password or a key."""
    return _QUERY.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1:{_MASK}@", text))


def _leaves(config: BaseModel, plain: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, held in config:
        if isinstance(held, BaseModel):
            for inner, value in _leaves(held, plain[name]):
                yield f"{name}.{inner}", value
        elif isinstance(held, SecretStr):
            secret = held.get_secret_value()
            yield name, masked(secret) if "://" in secret else _MASK
        else:
            yield name, masked(plain[name]) if isinstance(held, str) else plain[name]
