import json

import pytest

from rapport.errors import ServingError
from serve.builtin import check_builtin
from serve.wire import ChatRequest

IMAGE = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "secret"}}]


def ask(**fields):
    body = {"messages": [{"role": "user", "content": "hello"}], **fields}
    return ChatRequest.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages.0.content"),
    ],
)
def test_what_only_an_upstream_can_do_is_refused_with_the_remedy(fields, param):
    with pytest.raises(ServingError, match="attach an upstream") as refused:
        check_builtin(ask(**fields))
    assert refused.value.param == param
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 5000}, "max_tokens"),
        ({"max_completion_tokens": 5000}, "max_completion_tokens"),
        ({"n": 9}, "n"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_more_than_it_can_do_is_refused(fields, param):
    with pytest.raises(ServingError) as refused:
        check_builtin(ask(**fields))
    assert refused.value.param == param


def test_what_changes_nothing_is_let_through():
    check_builtin(
        ask(tools=[], tool_choice="auto", response_format={"type": "text"}, logprobs=False)
    )
    check_builtin(ask(messages=[{"role": "user", "content": IMAGE[:1]}], n=8, stop="x"))
