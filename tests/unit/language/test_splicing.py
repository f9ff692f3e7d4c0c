import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.language.splicing import spliced


def ours(key):
    return key.startswith("rapport::")


def test_only_the_named_member_changes_and_ours_go():
    body = b'{ "model" : "rapport",\n "temperature": 0.70, "rapport::mode": "observe", "x": 1e-3 }'
    assert spliced(body, values={"model": "m"}, without=ours) == (
        b'{ "model" : "m",\n "temperature": 0.70, "x": 1e-3 }'
    )


def test_escapes_in_what_people_wrote_keep_their_bytes():
    body = '{"messages": [{"content": "caf\\u00e9 \u00e9 \\/"}], "model": "a", "rapport::x": [1]}'
    assert spliced(body.encode(), values={"model": "b"}, without=ours).decode() == (
        '{"messages": [{"content": "caf\\u00e9 \u00e9 \\/"}], "model": "b"}'
    )


def test_a_member_that_was_not_there_is_added():
    assert spliced(b"{}", values={"model": "m"}) == b'{"model": "m"}'
    assert spliced(b'{"rapport::x":1}', values={"model": "m"}, without=ours) == b'{"model": "m"}'
    assert spliced(b'{"a":1}\n', values={"b": [2]}) == b'{"a":1, "b": [2]}\n'


def test_a_key_said_twice_is_replaced_twice():
    assert spliced(b'{"m":1,"m":2}', values={"m": 3}) == b'{"m":3,"m":3}'


words = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | words | st.floats(allow_nan=False)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
keys = st.sampled_from(["model", "messages", "rapport::mode", "rapport::user", "n", 'q"\\', ""])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values), st.sampled_from([None, 2]), st.booleans())
def test_the_result_is_the_object_with_those_members_whatever_it_held(held, indent, ascii_only):
    body = json.dumps(held, indent=indent, ensure_ascii=ascii_only).encode()
    told = json.loads(spliced(body, values={"model": "m"}, without=ours))
    assert told == {k: v for k, v in held.items() if not ours(k)} | {"model": "m"}
