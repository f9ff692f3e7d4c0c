"""A mapping file: which column of somebody's log is which field of ours.

user_id: account            # our field: their column, or a path like request.user in JSON
text: message body
agent_id: {value: customer_support}     # the same for every row
roles: {user: [human, customer], assistant: [gpt, bot]}     # our role: their names for it
arms: {question: [ask, probe]}                              # our arm: their names for it
metrics: {thumbs: [user-feedback]}                          # our metric: their names for it
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from rapport.arms import arm_names
from rapport.errors import ConfigError
from rapport.governance.feedback import SHIPPED

VALUES = {
    "roles": ("user", "assistant", "tool", "system"),
    "arms": arm_names(),
    "metrics": tuple(SHIPPED),
}
"""Fields whose values may be mapped as well, and our values."""
_PRIVATE = ("user_id", "user", "safety_identifier")
_EXAMPLE = "write lines like `user_id: account`, our field first"


@dataclass(frozen=True)
class FieldMap:
    """Names and values that a log has for our fields."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Ours to theirs."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Ours to the value of every row."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Theirs to ours."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """Theirs to ours."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Theirs to ours."""

    def applied(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record under our names; fields that are not mapped keep the names they had."""
        mapped = {ours: found(record, theirs) for ours, theirs in self.names.items()}
        return {**record, **mapped, **self.constants}

    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record as it may be kept: without whose it is, and without what is missing."""
        private = {*_PRIVATE, *(self.names[one] for one in _PRIVATE if one in self.names)}
        hidden = private | {name.partition(".")[0] for name in private}
        kept = {k: v for k, v in record.items() if v is not None and k not in hidden}
        inside = kept.get("metadata")
        if isinstance(inside, Mapping):
            kept["metadata"] = {k: v for k, v in inside.items() if k not in hidden}
        return kept

    def absent(self, columns: Collection[str]) -> list[tuple[str, str]]:
        """Pairs of ours and theirs whose column, or what it lies in, is none of these."""
        return [
            (ours, theirs)
            for ours, theirs in self.names.items()
            if theirs not in columns and theirs.partition(".")[0] not in columns
        ]

    def within(self, prefix: str) -> "FieldMap":
        """The part whose fields begin with a prefix, without it."""
        return replace(
            self,
            names=_cut(self.names, prefix),
            constants=_cut(self.constants, prefix),
        )

    def without(self, prefix: str) -> "FieldMap":
        """The part whose fields do not begin with a prefix."""
        return replace(
            self,
            names={k: v for k, v in self.names.items() if not k.startswith(prefix)},
            constants={k: v for k, v in self.constants.items() if not k.startswith(prefix)},
        )


AS_NAMED = FieldMap()
"""A log that has our names."""


def found(record: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401  (parsed JSON)
    """The value at a column, or at a dotted path into nested objects; none where there is none."""
    if path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    inner = record.get(head)
    return found(inner, rest) if dot and isinstance(inner, Mapping) else None


def load_mapping(file: Path | None, *, format_: str, fields: Sequence[str]) -> FieldMap:
    """Read a mapping file for a format.

    Args:
        file: YAML; none for a log that has our names.
        format_: Whose fields are mapped.
        fields: Their names; one that ends in `.` stands for all that begin with it.

    Raises:
        ConfigError: It cannot be read, or maps what the format does not have.
    """
    if file is None:
        return AS_NAMED
    if not fields:
        remedy = f"format {format_!r} has names of its own; leave --mapping out"
        raise ConfigError("--mapping", str(file), remedy)
    names: dict[str, str] = {}
    constants: dict[str, Any] = {}
    loaded = _loaded(file)
    values = {name: _values(name, loaded.pop(name, {})) for name in VALUES}
    for ours, theirs in loaded.items():
        if not _has(fields, str(ours)):
            remedy = f"{format_} has no such field; known: {', '.join([*fields, *VALUES])}"
            raise ConfigError("--mapping", str(ours), remedy)
        if isinstance(theirs, str):
            names[str(ours)] = theirs
        elif isinstance(theirs, dict) and set(theirs) == {"value"}:
            constants[str(ours)] = theirs["value"]
        else:
            remedy = "name their column, or write {value: ...} for the same in every row"
            raise ConfigError(f"--mapping {ours}", theirs, remedy)
    return FieldMap(names, constants, **values)


def _loaded(file: Path) -> dict[Any, Any]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        remedy = f"it cannot be read ({type(error).__name__}); {_EXAMPLE}"
        raise ConfigError("--mapping", str(file), remedy) from error
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError("--mapping", str(file), f"it maps nothing; {_EXAMPLE}")
    return loaded


def _has(fields: Sequence[str], name: str) -> bool:
    if name.endswith("."):
        return False
    prefixes = tuple(one for one in fields if one.endswith("."))
    return name in fields or name.startswith(prefixes)


def _values(name: str, stated: object) -> dict[str, str]:
    known = VALUES[name]
    if not isinstance(stated, dict) or any(ours not in known for ours in stated):
        remedy = f"write {{ours: [theirs, ...]}}; ours are: {', '.join(known)}"
        raise ConfigError(f"--mapping {name}", stated, remedy)
    return {
        str(one): str(ours)
        for ours, theirs in stated.items()
        for one in (theirs if isinstance(theirs, list) else [theirs])
    }


def _cut(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
