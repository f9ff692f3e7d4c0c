"""Features as Vowpal Wabbit and the Personalizer take them, as names with numbers.

`[{"weather": {"sky": "grey", "degrees": 7.5}, "new": true}]` becomes `weather.sky=grey` = 1,
`weather.degrees` = 7.5 and `new` = 1: nested names are joined, a word or a true counts as present,
false and null as absent, and an array has its places as names. Words are redacted, and where name
and word are long a hash stands for both. Names with `_` in front are the format's own, and passed
over.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rapport.errors import RowError
from rapport.governance.redaction import redact

NAME_CHARACTERS = 128
ARM = "arm"
"""An action's word that says under which arm it goes."""


class Told(NamedTuple):
    """What a list of objects says."""

    features: dict[str, float]
    text: str | None
    """What was, or would be, said in words; none where nothing is."""


def told(given: Sequence[Mapping[str, Any]], *, where: str, spoken: str | None = None) -> Told:
    """Read a list of feature objects.

    Args:
        given: As they came.
        where: Field they came in, for errors.
        spoken: Name of the feature whose words are no feature but what is said; the first counts.

    Raises:
        RowError: A number in them is not finite.
    """
    features: dict[str, float] = {}
    text: str | None = None
    for name, value in _leaves("", given):
        word = isinstance(value, str)
        if word and spoken is not None and name.rpartition(".")[2] == spoken:
            text = text or value.strip() or None
        elif word:
            features[_short(f"{name}={redact(value)}")] = 1.0
        elif value is not False:
            features[_short(name)] = _number(value, where)
    return Told(features, text)


def _leaves(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """Words and numbers with where they stand; the outermost list has no name of its own."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not str(key).startswith("_"):
                yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(f"{name}.{place}" if name else "", inner)
    elif value is not None:
        yield name, value


def _number(value: float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RowError(where, "holds a number that is not finite")
    return number


def _short(name: str) -> str:
    if len(name) <= NAME_CHARACTERS:
        return name
    digest = hashlib.blake2b(name.encode(errors="replace"), digest_size=8).hexdigest()
    return f"#{digest}"


def as_key(name: str) -> str:
    """A feature's name as a key that no format takes for its own; see `from_key`."""
    return f"%{name}" if name[:1] in ("_", "%") or name == ARM else name


def from_key(key: str) -> str:
    """The name that `as_key` made a key of."""
    return key.removeprefix("%")
