"""Small logs in every format, for tests that hold for all of them."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

ARMS = ["question", "reflection", "suggestion"]


def a_chat(number=0, *, messages=None, **fields):
    """One conversation of an `openai-jsonl` export."""
    said = messages or [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"I have been worried about exam {number} all week."},
        {"role": "assistant", "content": f"What worries you most about number {number}?"},
        {"role": "user", "content": "That I will forget it all."},
        {"role": "assistant", "content": "That sounds tiring."},
    ]
    return {"messages": said, "user": f"user-{number % 7}", "rating": 1 + number % 5, **fields}


def a_turn_row(number=0, **fields):
    """One row of a `turns-*` table: conversations of four turns."""
    conversation, index = divmod(number, 4)
    row = {
        "conversation_id": f"talk {conversation}",
        "user_id": f"user-{conversation % 7}" if index % 2 == 0 else None,
        "role": "assistant" if index % 2 else "user",
        "text": f'Turn {number},\nsaid with a "quote" and a comma',
        "timestamp": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "rating": 1 + number % 5 if index % 2 else None,
    }
    return {**row, **fields}


def a_user_row(number=0, **fields):
    """One profile."""
    row = {
        "user_id": f"user-{number}",
        "age_band": "25-34",
        "jurisdiction": "DE",
        "attributes.team": f"team {number % 3}",
        "preferences.tone": "plain",
    }
    return {**row, **fields}


def a_decision_row(number=0, **fields):
    """One decision of somebody's own policy over three arms."""
    shares = [0.2, 0.3, 0.5]
    row = {
        "conversation_id": f"talk {number}",
        "user_id": f"user-{number % 7}",
        "timestamp": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "message": f"It is my {number}. day here.",
        "reply": "How is it going?",
        "candidates": [
            {"arm": arm, "probability": share} for arm, share in zip(ARMS, shares, strict=True)
        ],
        "action_index": number % 3,
        "rating": 1.0 + number % 5,
    }
    return {**row, **fields}


def an_event(number=0, **fields):
    """One event of a log of Vowpal Wabbit over three actions."""
    event = {
        "_label_cost": -0.25 * (number % 4),
        "_label_probability": 0.5,
        "_labelIndex": number % 3,
        "Timestamp": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "EventId": f"event-{number}",
        "c": {"day": number, "_multi": [{"kind": kind} for kind in ("News", "Sports", "Music")]},
    }
    return {**event, **fields}


def a_bandit_row(number=0, **fields):
    """One round of Open Bandit's `bandit_feedback` over three actions."""
    shares = [0.2, 0.3, 0.5]
    row = {
        "timestamp": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "context": [float(number), 1.0],
        "action": number % 3,
        "reward": float(number % 2),
        "pscore": shares[number % 3],
        "pi_b": shares,
    }
    return {**row, **fields}


def a_generation(number=0, **fields):
    """A generation of Langfuse's blob storage export, and a score of its trace."""
    talk, turn = divmod(number, 4)
    minute = f"2026-03-01 10:{number % 60:02d}"
    row = {
        "id": f"obs-{number}",
        "trace_id": f"trace-{number}",
        "type": "GENERATION",
        "parent_observation_id": "",
        "environment": "production",
        "start_time": f"{minute}:00.000000",
        "end_time": f"{minute}:02.500000",
        "level": "DEFAULT",
        "user_id": f"user-{talk % 7}",
        "session_id": f"talk {talk}",
        "input": json.dumps({"messages": history(talk, turn)}),
        "output": json.dumps({"role": "assistant", "content": answer(talk, turn)}),
        "metadata": {},
        "provided_model_name": "small-model",
    }
    score = {
        "id": f"score-{number}",
        "timestamp": f"{minute}:09.000000",
        "trace_id": f"trace-{number}",
        "observation_id": None,
        "session_id": None,
        "name": "rating",
        "value": 1 + number % 5,
        "source": "API",
        "comment": None,
        "data_type": "NUMERIC",
        "string_value": None,
    }
    return [{**row, **fields}, score]


def history(talk, turn):
    """What a model is sent at a turn of a chat: everything so far."""
    said = [{"role": "system", "content": "Be kind."}]
    for place in range(turn):
        said.append({"role": "user", "content": f"Worry {place} of chat {talk}."})
        said.append({"role": "assistant", "content": answer(talk, place)})
    return [*said, {"role": "user", "content": f"Worry {turn} of chat {talk}."}]


def answer(talk, turn):
    return f"What is behind worry {turn} of {talk}?"


def an_otlp_line(number=0, *, attributes=(), events=(), **fields):
    """A line of OTLP's file exporter with one chat span."""
    talk, turn = divmod(number, 4)
    asked = [
        {"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]}
        for one in history(talk, turn)
    ]
    replied = [{"role": "assistant", "parts": [{"type": "text", "content": answer(talk, turn)}]}]
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small-model",
        "gen_ai.conversation.id": f"talk {talk}",
        "user.id": f"user-{talk % 7}",
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": json.dumps(replied),
        **dict(attributes),
    }
    began = (1_772_359_200 + 60 * number) * 10**9
    span = {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat small-model",
        "kind": 3,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(began + 2 * 10**9),
        "attributes": typed({k: v for k, v in told.items() if v is not None}),
        "events": [
            {"name": name, "timeUnixNano": str(began), "attributes": typed(held)}
            for name, held in events
        ],
        "status": {},
        **fields,
    }
    resource = {"attributes": typed({"service.name": "support"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


def typed(attributes):
    kinds = {str: "stringValue", float: "doubleValue", bool: "boolValue"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in attributes.items()]


def an_inference(number=0, **fields):
    """A row of TensorZero's ChatInference, and one of FloatMetricFeedback on it."""
    talk, turn = divmod(number, 4)
    name = f"0195{talk:04x}-{number:04x}-7000-8000-{number:012x}"
    said = [
        {"role": one["role"], "content": [{"type": "text", "text": one["content"]}]}
        for one in history(talk, turn)[1:]
    ]
    row = {
        "id": name,
        "function_name": "support",
        "variant_name": "question" if number % 2 else "baseline",
        "episode_id": f"0195{talk:04x}-0000-7000-9000-{talk:012x}",
        "input": json.dumps({"system": "Be kind.", "messages": said}),
        "output": json.dumps([{"type": "text", "text": answer(talk, turn)}]),
        "tool_params": "",
        "inference_params": "{}",
        "processing_time_ms": 900,
        "tags": {"user_id": f"user-{talk % 7}"},
    }
    rated = {
        "id": f"0195{talk:04x}-{number:04x}-7000-a000-{number:012x}",
        "target_id": name,
        "metric_name": "rating",
        "value": float(1 + number % 5),
        "tags": {},
    }
    return [{**row, **fields}, rated]


def as_lines(groups):
    return as_jsonl([record for group in groups for record in group])


def names_in(rows):
    return list(dict.fromkeys(name for row in rows for name in row))


def as_jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def as_csv(rows, *, delimiter=","):
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=names_in(rows), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_parquet(rows):
    sink = pa.BufferOutputStream()
    whole = [{name: row.get(name) for name in names_in(rows)} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole), sink)
    return sink.getvalue().to_pybytes()


LOGS = {
    "openai-jsonl": (a_chat, as_jsonl, ".jsonl"),
    "turns-csv": (a_turn_row, as_csv, ".csv"),
    "turns-parquet": (a_turn_row, as_parquet, ".parquet"),
    "users-csv": (a_user_row, as_csv, ".csv"),
    "decisions-parquet": (a_decision_row, as_parquet, ".parquet"),
    "obd": (a_bandit_row, as_parquet, ".parquet"),
    "vw-dsjson": (an_event, as_jsonl, ".jsonl"),
    "langfuse": (a_generation, as_lines, ".jsonl"),
    "otel-genai": (an_otlp_line, as_jsonl, ".jsonl"),
    "tensorzero": (an_inference, as_lines, ".jsonl"),
}
"""Builder of a record, writer of a file, and its ending, by format."""
