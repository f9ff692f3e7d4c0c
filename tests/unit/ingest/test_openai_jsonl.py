import datetime as dt
import json

import pytest

from rapport.errors import ConfigError
from rapport.governance.tenants import TenantPolicy
from rapport.ingest.spoken_batch import Gathered
from tests.unit.ingest.exports import a_chat, as_jsonl

USER = {"role": "user", "content": "It hurts."}
REPLY = {"role": "assistant", "content": "Where does it hurt?"}


@pytest.fixture
def chats(write, bring):
    """Ingest records as one file."""
    return lambda *records, **options: bring(
        "openai-jsonl", write("log.jsonl", as_jsonl(records)), **options
    )


def in_order(rows):
    return sorted(rows("turns"), key=lambda row: (row["conversation_id"], row["turn_index"]))


def test_a_conversation_becomes_turns_without_what_the_system_said(chats, rows):
    counts = chats(a_chat())
    turns = in_order(rows)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert [turn["turn_index"] for turn in turns] == [0, 1, 2, 3]
    assert turns[1]["text"] == "What worries you most about number 0?"
    assert {turn["source"] for turn in turns} == {"openai-jsonl"}
    assert counts["tables"]["conversations"]["kept"] == 1
    assert counts["tables"]["turns"]["kept"] == 4


def test_a_rating_of_the_conversation_comes_just_after_its_last_turn(chats, rows):
    chats(a_chat(rating=4))
    (feedback,) = rows("feedback")
    last = in_order(rows)[-1]
    assert (feedback["metric_name"], feedback["value"]) == ("rating", 4.0)
    assert feedback["ts"] - last["ts"] == dt.timedelta(microseconds=1)
    assert feedback["episode_id"] == last["conversation_id"]


def test_opinions_on_a_message_stand_at_that_message(chats, rows):
    rated = {**REPLY, "thumbs": "up", "comment": "nice"}
    chats({"messages": [USER, rated, USER, REPLY]})
    turns = in_order(rows)
    stands = {row["metric_name"]: row["ts"] for row in rows("feedback")}
    assert set(stands) == {"thumbs", "comment"}
    assert all(turns[1]["ts"] < ts < turns[2]["ts"] for ts in stands.values())


def test_times_that_are_given_are_kept_and_the_others_counted_on(chats, rows):
    timed = {**USER, "timestamp": 1_770_000_000}
    chats({"messages": [USER, timed, REPLY, {**USER, "timestamp": "2026-02-02T02:40:59+00:00"}]})
    told = [(turn["ts"].isoformat(), turn["ts_source"]) for turn in in_order(rows)]
    assert told == [
        ("2026-02-02T02:39:30+00:00", "estimated"),
        ("2026-02-02T02:40:00+00:00", "given"),
        ("2026-02-02T02:40:30+00:00", "estimated"),
        ("2026-02-02T02:40:59+00:00", "given"),
    ]


def test_without_any_time_a_conversation_begins_where_its_id_says(chats, rows):
    chats({"messages": [USER, REPLY]}, {"messages": [REPLY, USER], "created": "2026-01-02"})
    turns = in_order(rows)
    assert {turn["ts_source"] for turn in turns} == {"estimated"}
    years = sorted(turn["ts"].year for turn in turns)
    assert years == [2021, 2021, 2026, 2026]


def test_a_conversation_without_a_user_is_a_user_of_its_own(chats, rows):
    chats({"messages": [USER]}, {"messages": [REPLY]}, {"messages": [USER, REPLY], "user": "ann"})
    assert len({turn["user_id"] for turn in rows("turns")}) == 3


@pytest.mark.parametrize(
    "whose",
    [
        {"user": "ann"},
        {"user_id": "ann"},
        {"safety_identifier": "ann"},
        {"metadata": {"user_id": "ann"}},
        {"user": {"id": "ann"}},
    ],
    ids=lambda whose: next(iter(whose)),
)
def test_a_user_is_known_by_every_name_the_api_has_had_for_him(whose, chats, rows):
    chats({"messages": [USER], **whose}, {"messages": [REPLY], "user": "ann"})
    assert len({turn["user_id"] for turn in rows("turns")}) == 1


def test_a_stored_completion_ends_with_its_answer(chats, rows):
    chats({"id": "chatcmpl-1", "messages": [USER], "choices": [{"message": REPLY}]})
    assert [turn["text"] for turn in in_order(rows)] == ["It hurts.", "Where does it hurt?"]


def test_tools_parts_and_silence_are_turns_of_their_kind(chats, rows):
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]}
    parts = [{"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [{"role": "user", "content": parts}, call]
    messages += [{"role": "tool", "content": "42", "tool_call_id": "c"}, REPLY]
    chats({"messages": messages})
    told = [(turn["role"], turn["kind"], turn["text"]) for turn in in_order(rows)]
    assert told == [
        ("user", "message", "See:\n[image_url]"),
        ("assistant", "tool_call", None),
        ("tool", "tool_result", "42"),
        ("assistant", "message", "Where does it hurt?"),
    ]


def test_messages_of_their_own_are_put_together_and_numbered_by_time(chats, rows):
    told = [("assistant", 3, "c"), ("user", 1, "a"), ("assistant", 2, "b"), ("user", 4, "d")]
    lines = [
        {"role": role, "content": text, "conversation_id": "x", "timestamp": f"2026-01-0{day}"}
        for role, day, text in told
    ]
    lines[1]["user"] = "ann"
    chats(*lines[:2])
    chats(*lines)
    assert [turn["text"] for turn in sorted(rows("turns"), key=lambda turn: turn["ts"])] == [
        *"abcd"
    ]
    assert len({turn["user_id"] for turn in rows("turns")}) == 1
    assert len({turn["turn_index"] for turn in rows("turns")}) == 4


def test_a_conversation_that_grew_brings_its_new_turns_only(chats, rows):
    grown = [USER, REPLY, {**USER, "content": "Here."}]
    chats({"conversation_id": "x", "messages": grown[:2], "user": "ann"})
    counts = chats({"conversation_id": "x", "messages": grown, "user": "ann"})
    assert counts["tables"]["turns"] == {"read": 3, "kept": 1, "duplicate": 2, "quarantined": 0}
    assert [turn["turn_index"] for turn in in_order(rows)] == [0, 1, 2]


def test_records_that_a_second_file_numbers_anew_are_other_conversations(chats, rows):
    chats({"id": 1, "messages": [USER]}, {"id": 1, "messages": [REPLY, USER]})
    assert len({turn["conversation_id"] for turn in rows("turns")}) == 2


def test_a_crisis_keeps_its_row_and_not_its_words(chats, rows):
    said = [{"role": "user", "content": "I want to kill myself tonight."}, REPLY]
    chats({"messages": said}, {"messages": [*said, {"role": "narrator", "content": "x"}]})
    first = in_order(rows)[0]
    assert (first["text"], first["facet"]) == ("[CRISIS]", "crisis")
    assert "kill" not in json.dumps([row["row"] for row in rows("quarantine")])


def test_what_is_refused_leaves_neither_user_nor_address(chats, rows):
    record = {"messages": [{**USER, "role": "me@example.org"}], "user": "ann@example.org"}
    chats({**record, "metadata": {"user_id": "ann@example.org", "channel": "web"}})
    (refused,) = rows("quarantine")
    assert "example.org" not in refused["row"]
    assert "web" in refused["row"]


def test_a_childs_conversation_may_only_be_answered(chats, lake):
    chats({"messages": [USER, REPLY], "age_band": "minor"})
    assert lake.scan("turns", purpose="train").collect().is_empty()
    assert lake.scan("turns", purpose="serve").collect().height == 2


def test_purposes_of_a_record_are_kept_as_far_as_the_ingest_declares(chats, rows, lake):
    own = {"messages": [USER], "purposes": ["train", "memory"]}
    chats(own, purposes=["serve", "train"])
    assert {tuple(turn["purposes"]) for turn in rows("turns")} == {("train",)}
    nothing = chats({"messages": [REPLY], "purposes": "analytics"}, purposes=["train"])
    assert nothing["reasons"] == {"purposes: allow nothing that this tenant does": 1}
    unknown = chats({"messages": [REPLY], "purposes": ["ads"]})
    assert "purposes: are not all known" in next(iter(unknown["reasons"]))


def test_a_tenant_without_a_policy_is_served_and_no_more(chats, lake):
    chats({"messages": [USER, REPLY]}, tenant="acme", policy=TenantPolicy())
    assert lake.scan("turns", purpose="train").collect().is_empty()
    assert lake.scan("turns", purpose="serve").collect().height == 2


def test_foreign_names_are_mapped_down_to_the_messages(write, bring, rows):
    mapping = write(
        "map.yaml",
        "messages: conversations\nuser_id: request.account\nmessage.role: from\n"
        "message.content: value\nagent_id: {value: customer_support}\n"
        "roles: {user: human, assistant: [gpt]}\n",
    )
    said = [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Hello."}]
    path = write("log.jsonl", as_jsonl([{"conversations": said, "request": {"account": 7}}]))
    bring("openai-jsonl", path, mapping=mapping)
    assert [turn["role"] for turn in in_order(rows)] == ["user", "assistant"]
    assert {turn["agent_id"] for turn in rows("turns")} == {"customer_support"}


def test_a_mapping_of_what_no_record_has_is_refused_before_anything_lands(write, bring, lake):
    mapping = write("map.yaml", "user_id: acount\n")
    path = write("log.jsonl", as_jsonl([a_chat()]))
    with pytest.raises(ConfigError, match=r"--mapping user_id is 'acount': no record"):
        bring("openai-jsonl", path, mapping=mapping)
    assert lake.tables() == ()


def test_a_json_array_of_records_is_read_like_lines(write, bring, rows):
    counts = bring("openai-jsonl", write("log.json", json.dumps([a_chat(0), a_chat(1)])))
    assert counts["tables"]["conversations"]["kept"] == 2


def test_an_empty_file_is_one_refused_line(write, bring):
    assert bring("openai-jsonl", write("log.jsonl", ""))["reasons"] == {"the file is empty": 1}


def test_batches_hold_no_more_than_their_bound(bring, write, monkeypatch, rows):
    sizes = []
    whole = Gathered.handed_over

    def noted(gathered):
        sizes.append(len(gathered.turns))
        return whole(gathered)

    monkeypatch.setattr(Gathered, "handed_over", noted)
    path = write("log.jsonl", as_jsonl([a_chat(n) for n in range(20)]))
    counts = bring("openai-jsonl", path, chunk_rows=12)
    assert max(sizes) == 12
    assert counts["tables"]["turns"]["kept"] == len(rows("turns")) == 80
    assert counts["tables"]["conversations"] == {
        "read": 20, "kept": 20, "duplicate": 0, "quarantined": 0,
    }  # fmt: skip
