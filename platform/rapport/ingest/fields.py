"""One field of one record, of the type it must have; CSV brings numbers as text."""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rapport.errors import RowError

Record = Mapping[str, Any]

EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
MISSING = "is missing"
NO_TIME = "is no time that can be read"
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6))
"""Bounds of a Unix time in seconds, in milliseconds, in microseconds; beyond, nanoseconds."""
_WORDS = {"true": 1.0, "yes": 1.0, "up": 1.0, "false": 0.0, "no": 0.0, "down": 0.0}


def text(record: Record, name: str, *, where: str | None = None) -> str | None:
    """A text without the white space around it; none where it is missing or empty.

    Raises:
        RowError: It is something else.
    """
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RowError(where or name, "is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError(where or name, "is not UTF-8") from None
    return value.strip() or None


def identifier(record: Record, name: str, *, where: str | None = None) -> str | None:
    """An id, written as text or as a whole number; none where it is missing or empty.

    Raises:
        RowError: It is something else.
    """
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if value is not None and not isinstance(value, str):
        raise RowError(where or name, "is neither text nor a whole number")
    return text(record, name, where=where)


def needed(value: str | None, name: str) -> str:
    """A value that must be there.

    Raises:
        RowError: It is not.
    """
    if value is None:
        raise RowError(name, MISSING)
    return value


def one_of(value: str | None, allowed: Sequence[str], *, name: str) -> str | None:
    """A text that must be one of a few, or none.

    Raises:
        RowError: It is another one.
    """
    if value is not None and value not in allowed:
        raise RowError(name, f"is none of {', '.join(allowed)}")
    return value


def real(record: Record, name: str, *, where: str | None = None) -> float | None:
    """A finite number, also one written as text, or yes and no, or up and down, as 1 and 0.

    Raises:
        RowError: It is no such number.
    """
    value = record.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
        number = float(value) if number is None else number
    except (TypeError, ValueError, OverflowError):
        raise RowError(where or name, "is not a number") from None
    if not math.isfinite(number):
        raise RowError(where or name, "is not a finite number")
    return number


def whole(record: Record, name: str, *, where: str | None = None) -> int | None:
    """A whole number from 0 on that fits 31 bits.

    Raises:
        RowError: It is none.
    """
    number = real(record, name, where=where)
    if number is None:
        return None
    if not number.is_integer() or not 0 <= number < 2**31:
        raise RowError(where or name, "is not a whole number from 0 on")
    return int(number)


def moment(record: Record, name: str, *, where: str | None = None) -> dt.datetime | None:
    """A time in UTC: ISO 8601, or Unix time in s, ms, us or ns; without a zone it is UTC.

    Raises:
        RowError: It cannot be read as a time between 1970 and 2100.
    """
    value = record.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | dt.date):
        raise RowError(where or name, NO_TIME)
    try:
        read = _moment(value.strip() if isinstance(value, str) else value)
    except (ValueError, OverflowError, OSError):
        raise RowError(where or name, NO_TIME) from None
    if not EARLIEST <= read <= LATEST:
        raise RowError(where or name, "is no time of this era")
    return read


def strings(record: Record, name: str) -> dict[str, str]:
    """A mapping of names to values, as an object or as JSON text; values become text.

    Raises:
        RowError: It is none.
    """
    value = record.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            raise RowError(name, "is not JSON") from None
    if value is None:
        return {}
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        return {str(key): _plain(one) for key, one in pairs if one is not None}
    except (TypeError, ValueError):
        raise RowError(name, "is not an object") from None


def numbers(record: Record, name: str) -> dict[str, float]:
    """A mapping of names to finite numbers, as an object or as JSON text.

    Raises:
        RowError: It is none.
    """
    given = strings(record, name)
    return {key: real({key: one}, key, where=name) or 0.0 for key, one in given.items()}


def words(record: Record, name: str) -> list[str] | None:
    """A list of words, as a list or as text with commas; none where it is missing.

    Raises:
        RowError: It is no such list.
    """
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise RowError(name, "is not a list of words")
    return value


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _moment(value: float | str | dt.date) -> dt.datetime:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = dt.datetime.fromisoformat(str(value))
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    unit = next((unit for bound, unit in _UNITS if abs(value) < bound), 1e9)
    return EARLIEST + dt.timedelta(seconds=value / unit)
