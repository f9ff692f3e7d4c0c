"""An export of 50,000 messages, 1 % of whose lines are bad in ten ways: counted to the line."""

import json
import random

from tests.unit.ingest.exports import a_chat

CONVERSATIONS = 12_375
MESSAGES = 4
LONG_BYTES = 50 * 2**20
RATED = 6


def with_message(chat, **fields):
    messages = [dict(message) for message in chat["messages"]]
    messages[2].update(fields)
    return {**chat, "messages": messages}


def without(chat, *names):
    return {key: value for key, value in chat.items() if key not in names}


def dumped(value):
    return json.dumps(value).encode()


KINDS = {
    "is not JSON": (21, lambda chat: dumped(chat)[:-9]),
    "is not UTF-8": (17, lambda chat: dumped(chat).replace(b"worried", b"\xff\xfe")),
    "is not an object": (7, lambda chat: dumped(chat["messages"])),
    "messages: is missing": (19, lambda chat: dumped(without(chat, "messages"))),
    "messages: has no messages": (11, lambda chat: dumped({**chat, "messages": []})),
    "messages[].content: is not text": (
        13, lambda chat: dumped(with_message(chat, content={"a": 1}))
    ),
    "messages[].role: is none of assistant, developer, function, system, tool, user": (
        12, lambda chat: dumped(with_message(chat, role="narrator"))
    ),
    "messages[].timestamp: is no time that can be read": (
        9, lambda chat: dumped(with_message(chat, timestamp="yesterday"))
    ),
    "user: is neither text nor a whole number": (
        15, lambda chat: dumped({**chat, "user": [1, 2]})
    ),
    "is longer than 8 MiB": (
        1, lambda chat: dumped({**chat, "pad": "x" * LONG_BYTES})
    ),
}  # fmt: skip
"""Reason to how many lines have it, and how a line gets it."""


def test_an_export_of_50_000_messages_is_accounted_for_line_by_line(tmp_path, bring, rows):
    path = tmp_path / "export.jsonl"
    bad = [kind for kind, (count, _) in KINDS.items() for _ in range(count)]
    chats = [plain(n) for n in range(CONVERSATIONS + len(bad))]
    kinds = random.Random(7).sample([*bad, *[None] * CONVERSATIONS], len(chats))
    with path.open("wb") as file:
        for chat, kind in zip(chats, kinds, strict=True):
            file.write(line(chat, kind) + b"\n")
    assert MESSAGES * len(chats) == 50_000
    assert len(bad) / len(chats) == 0.01

    counts = bring("openai-jsonl", path)

    assert counts["reasons"] == {kind: count for kind, (count, _) in KINDS.items()}
    assert counts["tables"]["conversations"] == {
        "read": len(chats), "kept": CONVERSATIONS, "duplicate": 0, "quarantined": len(bad),
    }  # fmt: skip
    assert counts["tables"]["turns"]["kept"] == MESSAGES * CONVERSATIONS
    refused = rows("quarantine")
    places = {f"export.jsonl line {n}" for n, kind in enumerate(kinds, 1) if kind is not None}
    assert {row["position"] for row in refused} == places
    assert len(refused) == len(bad)
    reasons = {f"{row['field'] or ''} {row['reason']}" for row in refused}
    assert len(reasons) == len(KINDS)
    again = bring("openai-jsonl", path)
    assert again["quarantine"]["duplicate"] == len(bad)
    assert again["tables"]["turns"]["kept"] == 0


def plain(number):
    chat = a_chat(number)
    return {**chat, "messages": chat["messages"][1:]}


def line(chat, kind):
    if kind is None:
        return dumped(chat)
    return KINDS[kind][1](chat)


def test_a_rating_out_of_range_is_refused_alone(tmp_path, bring, rows):
    path = tmp_path / "export.jsonl"
    chats = [a_chat(n, rating=9 if n < RATED else 4) for n in range(40)]
    path.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    counts = bring("openai-jsonl", path)
    assert counts["reasons"] == {"rating: is outside 1 to 5": RATED}
    assert counts["tables"]["conversations"]["kept"] == 40
    assert counts["tables"]["feedback"] == {
        "read": 40, "kept": 34, "duplicate": 0, "quarantined": RATED,
    }  # fmt: skip
    assert {row["row"] for row in rows("quarantine")} == {'{"rating": 9}'}
