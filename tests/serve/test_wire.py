import json

import pytest
from pydantic import ValidationError

from rapport.errors import ServingError
from serve.errors import error_body, refused
from serve.wire import ChatRequest, FeedbackRequest

HELLO = [{"role": "user", "content": "hello"}]


def ask(**fields):
    return ChatRequest.model_validate_json(json.dumps({"messages": HELLO, **fields}))


def test_an_openai_request_is_read_with_its_unknown_fields_let_through():
    asked = ask(model="rapport", logit_bias={"1": 2}, max_tokens=7, stop="x")
    assert asked.limit_tokens == 7
    assert asked.stops == ("x",)
    assert ask(stop=["a", "b"]).stops == ("a", "b")


def test_a_null_where_openai_allows_one_is_as_if_it_were_not_there():
    asked = ask(n=None, stream=None, stream_options=None, stop=None, seed=None, metadata=None)
    assert (asked.n, asked.stream, asked.stops) == (1, False, ())


@pytest.mark.parametrize("body", ["[1]", "3", '"x"'])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(ValidationError, match="JSON object"):
        ChatRequest.model_validate_json(body)


TOOL = {"role": "tool", "content": "42", "tool_call_id": "c"}


@pytest.mark.parametrize(
    ("fields", "turn"),
    [
        ({}, "text"),
        ({"tools": [{}], "tool_choice": "auto"}, "text"),
        ({"tools": [{}], "tool_choice": "none"}, "text"),
        ({"tools": [{}], "tool_choice": "required"}, "tool_call"),
        ({"tools": [{}], "tool_choice": {"type": "function", "function": {}}}, "tool_call"),
        ({"tools": [{}], "tool_choice": {"type": "custom", "custom": {}}}, "tool_call"),
        ({"function_call": "auto"}, "text"),
        ({"function_call": {"name": "f"}}, "tool_call"),
        ({"response_format": {"type": "text"}}, "text"),
        ({"response_format": {"type": "json_object"}}, "structured"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "structured"),
        ({"messages": [*HELLO, TOOL]}, "tool_call"),
        ({"messages": [*HELLO, TOOL, *HELLO]}, "text"),
    ],
)
def test_what_the_reply_must_be_is_read_from_the_request(fields, turn):
    assert ask(**fields).turn == turn


@pytest.mark.parametrize(("mode", "turn"), [("auto", "text"), ("required", "tool_call")])
def test_a_choice_among_allowed_tools_binds_as_its_mode_says(mode, turn):
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": []}}
    assert ask(tools=[{}], tool_choice=choice).turn == turn


def test_a_user_says_something_new_unless_a_tool_answered_since():
    assert ask().speaks
    assert not ask(messages=[*HELLO, TOOL]).speaks
    assert ask(messages=[*HELLO, TOOL, *HELLO]).speaks
    assert ask(messages=[*HELLO, {"role": "system", "content": "Be kind."}]).speaks


def test_extras_are_read_under_their_prefix():
    asked = ask(**{"rapport::user": {"id": "ann", "purposes": ["serve"]}, "rapport::dryrun": True})
    assert asked.who.id == "ann"
    assert asked.dryrun


def test_content_parts_count_as_their_text():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    asked = ChatRequest.model_validate({"messages": [{"role": "user", "content": parts}]})
    assert asked.messages[0].text == "a\nb"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"rapport::persona": "x"}, "body"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"rapport::user": {"name": "x"}}, "rapport::user.name"),
        ({"n": 0}, "n"),
        ({"temperature": "warm secret"}, "temperature"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field_and_never_the_value(fields, param):
    with pytest.raises(ValidationError) as caught:
        ask(**fields)
    error = refused(caught.value)
    assert error.param == param
    assert "secret" not in str(error)


def test_errors_look_as_openai_clients_expect():
    body = error_body(ServingError("no", "model"))["error"]
    assert body == {
        "message": "no",
        "type": "invalid_request_error",
        "code": "invalid_request",
        "param": "model",
    }


@pytest.mark.parametrize("target", [{}, {"decision_id": "d", "episode_id": "e"}])
def test_feedback_has_exactly_one_target(target):
    with pytest.raises(ValidationError, match="exactly one"):
        FeedbackRequest.model_validate({"metric_name": "rating", "value": 5, **target})
