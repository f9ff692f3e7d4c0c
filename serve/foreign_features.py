"""Features as Vowpal Wabbit and the Personalizer take them, as names with numbers.

`[{"weather": {"sky": "grey", "degrees": 7.5}, "new": true}]` becomes `weather.sky=grey` = 1,
`weather.degrees` = 7.5 and `new` = 1: nested names are joined, a word or a true counts as present,
false and null as absent, and an array has its places as names. Words are redacted, and where name
and word are long a hash stands for both.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rapport.errors import ServingError
from rapport.governance.redaction import redact

NAME_CHARACTERS = 128


class Told(NamedTuple):
    """What a list of objects says."""

    features: dict[str, float]
    text: str | None
    """What was, or would be, said in words; none where nothing is."""


def told(given: Sequence[Mapping[str, Any]], *, spoken: str, param: str) -> Told:
    """Read a list of feature objects.

    Args:
        given: As the client sent them.
        spoken: Name of the feature whose words are no feature but what is said; the first counts.
        param: Field they came in, for errors.

    Raises:
        ServingError: A number in them is not finite.
    """
    features: dict[str, float] = {}
    text: str | None = None
    for name, value in _leaves("", given):
        word = isinstance(value, str)
        if word and name.rpartition(".")[2] == spoken:
            text = text or value.strip() or None
        elif word:
            features[_short(f"{name}={redact(value)}")] = 1.0
        elif value is not False:
            features[_short(name)] = _number(value, param)
    return Told(features, text)


def _leaves(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """Words and numbers with where they stand; the outermost list has no name of its own."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(f"{name}.{place}" if name else "", inner)
    elif value is not None:
        yield name, value


def _number(value: float, param: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ServingError(f"{param}: a number is not finite", param)
    return number


def _short(name: str) -> str:
    if len(name) <= NAME_CHARACTERS:
        return name
    digest = hashlib.blake2b(name.encode(errors="replace"), digest_size=8).hexdigest()
    return f"#{digest}"
