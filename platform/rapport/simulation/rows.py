"""A run as rows of schema version 1, with raw user ids."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rapport.schema import CANDIDATE, PURPOSES, schema_of
from rapport.simulation import agents
from rapport.simulation.clock import REPLY_S
from rapport.simulation.exchanges import Exchanges, objects

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SOURCE = "simulation"
TENANT = "default"
AGREED = tuple(purpose for purpose in PURPOSES if purpose != "proactive")
"""What the simulated users let their rows be used for."""
_CHANNELS = ("app", "web")
_METRICS = {
    "dwell": ("dwell_s", 0.4),
    "rating": ("rating", 0.7),
    "task_success": ("task_success", 0.8),
}
"""Metric to the column it is read from, and when it is reported, as a share of the pause."""


def turn_rows(flat: Exchanges) -> pa.Table:
    """The `turns`: each message, its reply, and the clicks and task steps between two messages."""
    everyone = np.arange(len(flat.user))
    clicked, stepped = np.flatnonzero(flat["clicked"]), np.flatnonzero(flat["stepped"])
    first, pause = flat.first_turn_index(), flat["pause_s"]
    replied = np.full(len(everyone), REPLY_S)
    message = {"text": flat["text"], "turn_id": flat.message_ids}
    reply = {"role": "assistant", "text": flat["reply"], "arm": flat.arm_names()}
    step = {"kind": "task_step", "task_id": flat.journey_ids[stepped]}
    # A task step comes after the click, where there was one.
    place = first + 2 + flat["clicked"]
    parts = [
        _turns(flat, everyone, after_s=0.0 * replied, turn_index=first, **message),
        _turns(flat, everyone, after_s=replied, turn_index=first + 1, **reply),
        _turns(
            flat,
            clicked,
            after_s=REPLY_S + 0.3 * pause[clicked],
            turn_index=first[clicked] + 2,
            kind="click",
        ),
        _turns(
            flat,
            stepped,
            after_s=REPLY_S + 0.5 * pause[stepped],
            turn_index=place[stepped],
            **step,
        ),
    ]
    return pa.concat_tables(parts).sort_by([("user_id", "ascending"), ("ts", "ascending")])


def decision_rows(flat: Exchanges) -> pa.Table:
    """The `decisions`: every served arm a candidate, the logging distribution, the draw."""
    rows = np.arange(len(flat.user))
    control = flat["arm"] == agents.CONTROL
    chosen = np.where(control, 0, flat["arm"])
    probability = flat["probabilities"]
    propensity = np.where(control, 1.0, probability[rows, chosen])
    likeliest = probability.argmax(axis=1) == chosen
    return _table(
        "decisions",
        flat,
        rows,
        after_s=REPLY_S + np.zeros(len(rows)),
        values={
            "decision_id": flat.decision_ids,
            "inference_id": flat.ids("inference"),
            "episode_id": flat.conversation_ids,
            "turn_index": flat.first_turn_index() + 1,
            "features": _features(seen_mood=flat["seen_mood"], exchange=flat["exchange"]),
            "mode": np.where(control, "control", "arm_first"),
            "delivered": np.where(control, "control", "full"),
            "candidates": _candidates(flat, control=control, chosen=chosen),
            "action_index": chosen,
            "propensity": propensity,
            "propensity_source": "simulated",
            "explored": ~control & ~likeliest,
            "policy_id": agents.POLICY_ID,
            "policy_version": agents.POLICY_VERSION,
        },
    )


def feedback_rows(flat: Exchanges) -> pa.Table:
    """The `feedback`: ratings, reading times and task outcomes, of those who gave any."""
    parts = []
    for metric, (column, share) in _METRICS.items():
        rows = np.flatnonzero(np.isfinite(flat[column]))
        after = REPLY_S + share * flat["pause_s"][rows]
        values = {
            "feedback_id": flat.ids(metric, rows),
            "decision_id": flat.decision_ids[rows],
            "episode_id": flat.conversation_ids[rows],
            "metric_name": metric,
            "value": flat[column][rows],
        }
        parts.append(_table("feedback", flat, rows, after_s=after, values=values))
    return pa.concat_tables(parts).sort_by([("user_id", "ascending"), ("ts", "ascending")])


def user_rows(flat: Exchanges) -> pa.Table:
    """The `users`: a profile each, as the tenant knows it on the first day."""
    rows = np.arange(0, len(flat.user), flat.config.turns)
    schema = schema_of("users")
    count = len(rows)
    columns = {
        "tenant": TENANT,
        "user_id": flat.user_ids[rows],
        "attributes": _groups(flat.user[rows]),
        "preferences": pa.array([{}], type=schema.field("preferences").type).take([0] * count),
        "set_by": "tenant",
        "ts": flat.times(rows, after_s=np.zeros(count)),
    }
    return _filled(schema, columns, count=count)


def _turns(
    flat: Exchanges, rows: IntArray, *, after_s: FloatArray, turn_index: IntArray, **columns: object
) -> pa.Table:
    kind, role = columns.get("kind", "message"), columns.get("role", "user")
    values = {
        "conversation_id": flat.conversation_ids[rows],
        "turn_index": turn_index,
        "role": role,
        "kind": kind,
        **columns,
    }
    if "turn_id" not in values:
        values["turn_id"] = flat.ids(f"{role} {kind}", rows)
    return _table("turns", flat, rows, after_s=after_s, values=values)


def _table(
    name: str,
    flat: Exchanges,
    rows: IntArray,
    *,
    after_s: FloatArray,
    values: Mapping[str, object],
) -> pa.Table:
    agent_ids = objects(flat.config.agents)
    event = {
        "tenant": TENANT,
        "ts": flat.times(rows, after_s=after_s),
        "ts_source": "given",
        "user_id": flat.user_ids[rows],
        "agent_id": agent_ids[flat["agent"][rows]],
        "journey_id": flat.journey_ids[rows],
        "purposes": pa.array([list(AGREED)]).take(pa.array(np.zeros(len(rows), dtype=np.int64))),
        "groups": _groups(flat.user[rows]),
        "source": SOURCE,
    }
    return _filled(schema_of(name), {**event, **values}, count=len(rows))


def _filled(schema: pa.Schema, values: Mapping[str, object], *, count: int) -> pa.Table:
    columns = []
    for column in schema:
        value = values.get(column.name)
        if value is None or isinstance(value, str):
            columns.append(pa.repeat(pa.scalar(value, type=column.type), count))
        elif isinstance(value, pa.Array):
            columns.append(value.cast(column.type))
        else:
            columns.append(pa.array(value, type=column.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _groups(users: IntArray) -> pa.Array:
    kinds = [{"age_band": "adult", "channel": channel} for channel in _CHANNELS]
    type_ = schema_of("users").field("attributes").type
    # By index, hence independent of the persona, which is dealt at random.
    return pa.array([list(kind.items()) for kind in kinds], type=type_).take(pa.array(users % 2))


def _features(**values: IntArray) -> pa.Array:
    count = len(next(iter(values.values())))
    keys = pa.array(list(values) * count)
    items = pa.array(np.stack(list(values.values()), axis=1).reshape(-1).astype(np.float64))
    return pa.MapArray.from_arrays(np.arange(count + 1) * len(values), keys, items)


def _candidates(flat: Exchanges, *, control: NDArray[np.bool_], chosen: IntArray) -> pa.Array:
    served = np.array([len(agents.served_arms(agent_id)) for agent_id in flat.config.agents])
    size = np.where(control, 1, served[flat["agent"]])
    offsets = np.concatenate([[0], size.cumsum()])
    row = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(row)) - offsets[row]
    # Only the reply that was given has words: the others were never written.
    taken, plain = place == chosen[row], control[row]
    vocabulary = sorted(
        {arm for agent_id in flat.config.agents for arm in agents.served_arms(agent_id)}
    )
    known = np.zeros((len(served), served.max()), dtype=np.int64)
    for index, agent_id in enumerate(flat.config.agents):
        arms = agents.served_arms(agent_id)
        known[index, : len(arms)] = [vocabulary.index(arm) for arm in arms]
    arm = pa.array(known[flat["agent"][row], place], mask=plain)
    ids = pa.array(flat.decision_ids).take(pa.array(row))
    fields = {
        "candidate_id": pc.binary_join_element_wise(ids, pa.array(place).cast(pa.string()), "-"),
        "arm": pa.array(vocabulary).take(arm),
        "text": pa.array(flat["reply"]).take(pa.array(row, mask=~taken)),
        "origin": pa.repeat("log", len(row)),
        "probability": pa.array(np.where(plain, 1.0, flat["probabilities"][row, place])),
    }
    arrays = [
        fields[field.name].cast(field.type)
        if field.name in fields
        else pa.nulls(len(row), field.type)
        for field in CANDIDATE
    ]
    values = pa.StructArray.from_arrays(arrays, fields=list(CANDIDATE))
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), values)
