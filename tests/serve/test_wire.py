import json

import pytest
from pydantic import ValidationError

from rapport.errors import ServingError
from serve.wire import ChatRequest, FeedbackRequest, error_body, refused

HELLO = [{"role": "user", "content": "hello"}]


def ask(**fields):
    return ChatRequest.model_validate_json(json.dumps({"messages": HELLO, **fields}))


def test_an_openai_request_is_read_with_its_unknown_fields_let_through():
    asked = ask(model="rapport", logit_bias={"1": 2}, max_tokens=7, stop="x")
    assert asked.limit_tokens == 7
    assert asked.stops == ("x",)
    assert ask(stop=["a", "b"]).stops == ("a", "b")


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
