"""Spans and log records out of OTLP's JSON encoding, flat.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hex, 64-bit integers are
text, attributes a list of keys and typed values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rapport.errors import RowError

_PLAIN = ("stringValue", "boolValue", "doubleValue", "bytesValue")
_NO_LINE = "is missing, and so is resourceLogs: this is no line of OTLP"

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """A span, an event of one, or a log record."""

    name: str
    trace: str | None
    span: str | None
    attributes: Object
    """Its own, over those of its resource."""
    times: Object = field(default_factory=dict)
    """`began` and `ended`, Unix time."""
    status: object = None
    body: Object = field(default_factory=dict)
    events: tuple["Item", ...] = ()
    is_span: bool = False


def items(line: Object) -> Iterator[Item]:
    """Spans and log records of one line, each with the attributes of its resource.

    Raises:
        RowError: It is no such line.
    """
    spans, logs = _get(line, "resourceSpans"), _get(line, "resourceLogs")
    if spans is None and logs is None:
        if _get(line, "spanId") is None and "context" not in line:
            raise RowError("resourceSpans", _NO_LINE)
        yield _span(line, {})
    for block in _objects(spans, "resourceSpans"):
        resource = _attributes(_object(block.get("resource")).get("attributes"))
        for scope in _objects(_get(block, "scopeSpans"), "scopeSpans"):
            for one in _objects(scope.get("spans"), "spans"):
                yield _span(one, resource)
    for block in _objects(logs, "resourceLogs"):
        resource = _attributes(_object(block.get("resource")).get("attributes"))
        for scope in _objects(_get(block, "scopeLogs"), "scopeLogs"):
            for one in _objects(_get(scope, "logRecords"), "logRecords"):
                yield _event(one, _id(one, "traceId"), _id(one, "spanId"), resource)


def _span(given: Object, resource: Object) -> Item:
    inner = {**_object(given.get("context")), **given}
    trace, span = _id(inner, "traceId"), _id(inner, "spanId")
    status = _object(given.get("status"))
    times = {
        "began": _time(inner, "startTimeUnixNano", "start_time"),
        "ended": _time(inner, "endTimeUnixNano", "end_time"),
    }
    return Item(
        name=str(given.get("name") or ""),
        trace=trace,
        span=span,
        attributes={**resource, **_attributes(given.get("attributes"))},
        times=times,
        status=status.get("code", status.get("status_code")),
        events=tuple(
            _event(one, trace, span, {}) for one in _objects(given.get("events"), "events")
        ),
        is_span=True,
    )


def _event(given: Object, trace: str | None, span: str | None, resource: Object) -> Item:
    own = _attributes(given.get("attributes"))
    body = _value(given.get("body"))
    named = _get(given, "eventName") or given.get("name") or own.get("event.name")
    return Item(
        name=str(named or ""),
        trace=trace,
        span=span,
        attributes={**resource, **own},
        times={"began": _time(given, "timeUnixNano", "observedTimeUnixNano")},
        body=body if isinstance(body, Mapping) else {},
    )


def _attributes(given: object) -> dict[str, Any]:
    """Attributes by name; those of SDKs' own JSON are an object already."""
    if isinstance(given, Mapping):
        return {str(key): _value(value) for key, value in given.items()}
    return {str(one.get("key")): _value(one.get("value")) for one in _objects(given, "attributes")}


def _value(given: object) -> Any:  # noqa: ANN401  (parsed JSON)
    """What a typed value holds; others are what they are."""
    if not isinstance(given, Mapping) or len(given) != 1:
        return given
    ((kind, held),) = given.items()
    if kind in _PLAIN:
        return held
    if kind == "intValue":
        return int(held) if str(held).lstrip("-").isdigit() else held
    if kind == "arrayValue":
        return [_value(one) for one in _object(held).get("values", [])]
    if kind == "kvlistValue":
        return _attributes(_object(held).get("values", []))
    return given


def _objects(given: object, name: str) -> list[Object]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise RowError(name, "is not a list of objects")
    return given


def _object(given: object) -> Object:
    return given if isinstance(given, Mapping) else {}


def _get(given: Object, name: str) -> Any:  # noqa: ANN401  (parsed JSON)
    """A field under its JSON name, or as protobuf has it."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return given.get(name, given.get(snake))


def _id(given: Object, name: str) -> str | None:
    held = _get(given, name)
    return str(held).removeprefix("0x").lower() or None if held is not None else None


def _time(given: Object, *names: str) -> object:
    held = next((_get(given, name) for name in names if _get(given, name) is not None), None)
    return int(held) if isinstance(held, str) and held.isdigit() else held
