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
}
"""Builder of a record, writer of a file, and its ending, by format."""
