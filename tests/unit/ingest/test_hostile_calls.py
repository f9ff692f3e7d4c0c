"""Logs of calls with anything anywhere: what cannot be read is refused, and nothing breaks."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.errors import RowError
from rapport.governance.tenants import EMBEDDED
from rapport.ingest import langfuse, otel_genai, tensorzero
from rapport.ingest.batch import Intake
from rapport.ingest.calls import Bad, Call, Context, Left, Verdict, opinion_of, turns_of
from tests.unit.ingest.exports import a_generation, an_inference, an_otlp_line, typed

INTAKE = Intake(tenant="default", secret=b"s" * 32, policy=EMBEDDED)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "parts", "messages", "value", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
SPOKEN = {"name": "gen_ai.user.message", "attributes": typed({"content": "Hi."})}
EVALUATED = {
    "name": "gen_ai.evaluation.result",
    "attributes": typed({"gen_ai.evaluation.name": "a"}),
}
LOGS = {
    "langfuse": (langfuse.entries, [*a_generation(5), {"data": a_generation(1)}]),
    "otel-genai": (
        otel_genai.entries,
        [an_otlp_line(5, events=[]), {"spanId": "1", "events": [SPOKEN, EVALUATED]}],
    ),
    "tensorzero": (tensorzero.entries, an_inference(5)),
}


def places(value, path=()):
    """Paths to everything in a JSON value, JSON texts opened."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from places(one, (*path, index))


def put(value, path, new):
    if not path:
        return new
    changed = copy.deepcopy(value)
    inside = changed
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = new
    return changed


@pytest.mark.parametrize("name", LOGS)
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_with_anything_anywhere_is_read_or_refused(name, data):
    parse, records = LOGS[name]
    record = data.draw(st.sampled_from(records))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([one for one in places(record) if one]))
        new = data.draw(anything | anything.map(json.dumps))
        record = put(record, path, new)
    for entry in parse(record, INTAKE):
        assert isinstance(entry, Call | Verdict | Context | Left | Bad)
        try:
            if isinstance(entry, Call):
                assert turns_of(entry, INTAKE, source=name)[-1].role == "assistant"
                assert isinstance(entry.asked, bytes)
            elif isinstance(entry, Verdict):
                opinion_of(entry, INTAKE)
        except RowError:
            pass
