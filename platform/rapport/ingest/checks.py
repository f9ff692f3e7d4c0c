"""What a row of each event table must be, as checks over whole columns."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from rapport.arms import agents, arm_names
from rapport.schema import schema_of

_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
TOLERANCE = 1e-9
"""How far from 1 the probabilities of a decision may sum."""
_MISSING = "is missing"
_CHOSEN = ("arm_first", "rerank")
"""Modes that choose among arms; an action that `rank` chooses may show none."""
_ALLOWED = {
    "ts_source": ("given", "received", "estimated"),
    "role": ("user", "assistant", "tool"),
    "mode": ("observe", "arm_first", "rerank", "rank", "control"),
    "delivered": (
        "full", "guard_replaced", "fallback", "pinned", "control", "observed", "tool_call",
        "structured",
    ),
    "propensity_source": ("logged", "estimated", "simulated"),
    "set_by": ("user", "tenant", "inferred"),
}  # fmt: skip
_RANGES = {
    "rating": (1.0, 5.0),
    "thumbs": (0.0, 1.0),
    "task_success": (0.0, 1.0),
    "reward": (-1.0, 1.0),
}


class Check(NamedTuple):
    """One rule."""

    field: str
    reason: str
    bad: pl.Expr
    """True where a row breaks it; null counts as kept."""


class Fault(NamedTuple):
    """The first rule that a row breaks."""

    row: int
    """0-based."""
    field: str
    reason: str


def faults(table: str, frame: pl.DataFrame) -> list[Fault]:
    """Check every row of a table; at most one fault a row.

    Args:
        table: A table of the schema.
        frame: Its rows, all columns there and of the right type.
    """
    checks = _checks(table)
    first = pl.coalesce(
        pl.when(check.bad.fill_null(value=False)).then(pl.lit(index, pl.Int32))
        for index, check in enumerate(checks)
    )
    found = frame.select(check=first).with_row_index("row").drop_nulls()
    return [Fault(row, checks[index].field, checks[index].reason) for row, index in found.rows()]


def _checks(table: str) -> Sequence[Check]:
    schema = schema_of(table)
    own = {"turns": _turns, "decisions": _decisions, "feedback": _feedback}.get(table)
    checks = [_required(field) for field in schema if not field.nullable]
    checks += [
        Check(name, f"is none of {', '.join(allowed)}", ~pl.col(name).is_in(allowed))
        for name, allowed in _ALLOWED.items()
        if name in schema.names
    ]
    checks.append(
        Check("ts", "is no time of this era", ~pl.col("ts").is_between(_EARLIEST, _LATEST))
    )
    if "purposes" in schema.names:
        nothing = pl.col("purposes").list.len() == 0
        checks.append(Check("purposes", "allow nothing that this tenant does", nothing))
        unknown = ~pl.col("agent_id").is_in(agents())
        checks.append(Check("agent_id", "has no menu", unknown))
    return [*checks, *(own() if own else ())]


def _required(field: pa.Field) -> Check:
    column = pl.col(field.name)
    missing = column.is_null()
    if pa.types.is_string(field.type):
        missing |= column == ""
    return Check(field.name, _MISSING, missing)


def _turns() -> list[Check]:
    silent = (pl.col("kind") == "message") & pl.col("text").is_null()
    return [
        Check("turn_index", "is below 0", pl.col("turn_index") < 0),
        Check("text", _MISSING, silent),
        Check("arm", "is in no menu", ~pl.col("arm").is_in(arm_names())),
    ]


def _decisions() -> list[Check]:
    candidates, index = pl.col("candidates"), pl.col("action_index")
    arm, probability = _each("arm"), _each("probability")
    chosen = pl.col("mode").is_in(_CHOSEN)
    total = probability.list.sum()
    taken = probability.list.get(index, null_on_oob=True)
    outside = pl.element().is_null() | ~pl.element().is_between(0.0, 1.0)
    unknown = pl.element().is_not_null() & ~pl.element().is_in(arm_names())
    return [
        Check("turn_index", "is below 0", pl.col("turn_index") < 0),
        Check("candidates", "are none", candidates.list.len() == 0),
        Check("candidates.arm", "is in no menu", arm.list.eval(unknown).list.any()),
        Check(
            "candidates.arm",
            _MISSING,
            chosen & arm.list.eval(pl.element().is_null()).list.any(),
        ),
        Check(
            "candidates.probability", "is outside 0 to 1", probability.list.eval(outside).list.any()
        ),
        Check("candidates.probability", "do not sum to 1", (total - 1.0).abs() > TOLERANCE),
        Check(
            "action_index",
            "names no candidate",
            (index < 0) | (index >= candidates.list.len().cast(pl.Int64)),
        ),
        Check(
            "propensity", "is not the taken candidate's probability", pl.col("propensity") != taken
        ),
        Check("propensity", "is 0", pl.col("propensity") <= 0.0),
    ]


def _feedback() -> list[Check]:
    value, metric = pl.col("value"), pl.col("metric_name")
    checks = [
        Check(
            "value",
            f"is outside {low:g} to {high:g}",
            (metric == name) & ~value.is_between(low, high),
        )
        for name, (low, high) in _RANGES.items()
    ]
    nothing = value.is_null() & pl.col("text").is_null()
    nowhere = pl.col("decision_id").is_null() & pl.col("episode_id").is_null()
    return [
        Check("value", _MISSING, nothing),
        Check("value", "is not a finite number", ~value.is_finite()),
        *checks,
        Check("value", "is below 0", (metric == "dwell") & (value < 0.0)),
        Check("decision_id", "is missing, and so is episode_id", nowhere),
    ]


def _each(name: str) -> pl.Expr:
    return pl.col("candidates").list.eval(pl.element().struct.field(name))
