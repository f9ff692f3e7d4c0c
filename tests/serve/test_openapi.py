"""/openapi.json tells the truth: generated requests meet no 5xx, no undocumented status, no hang.

The default run asks a few; `pytest -m slow -s tests/serve/test_openapi.py` asks 2,000.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.serve.whole_api import Served
from tests.statistics.report import say

SLOWEST_S = 20.0
"""A request that takes longer hangs; the tiny model writes 1,024 tokens in less."""
PERSONALIZER = "/personalizer/v1.0/"
OURS, AZURE = {"message", "type", "code", "param"}, {"code", "message", "target", "innererror"}


def operations(api):
    """Every operation of the document, but those that only Prometheus reads."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", api)
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@dataclass
class Hammer:
    """Ask generated requests, right and wrong, and look at each answer."""

    whole: Served
    seen: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def ask(self, case):
        headers = {"authorization": f"Bearer {self.whole.key('default', 'admin')}"}
        begun = time.monotonic()
        answer = self.whole.client.request(**_request(case, headers))
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        told = case.operation.definition.raw["responses"]
        place = f"{case.operation.label} answered {answer.status_code}: {answer.text[:300]}"
        assert str(answer.status_code) in told, place
        assert answer.status_code < 500, place
        if answer.status_code >= 400:
            foreign = case.operation.path.startswith(PERSONALIZER)
            assert set(answer.json()["error"]) == (AZURE if foreign else OURS)
        self.seen[answer.status_code] += 1

    def strike(self, operation, mode, *, cases, seed):
        strategy = _strategy(operation, mode)
        if strategy is None:
            return
        run = settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @hypothesis.seed(seed)
        @run
        @hypothesis.given(strategy)
        def struck(case):
            self.ask(case)

        struck()


def hammered(whole, *, cases, seed):
    """Spread that many cases over all operations; routes with a body get most of them."""
    hammer = Hammer(whole)
    ops = operations(whole.api)
    weights = [4 if operation.body else 1 for operation in ops]
    for operation, weight in zip(ops, weights, strict=True):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            share = max(1, cases * weight // (2 * sum(weights)))
            hammer.strike(operation, mode, cases=share, seed=seed)
    return hammer.seen, hammer.slowest_s


def _strategy(operation, mode):
    wrong = mode is GenerationMode.NEGATIVE
    if wrong and not (operation.body or operation.query or operation.path_parameters):
        return None
    return operation.as_strategy(generation_mode=mode)


def _request(case, headers):
    asked = case.as_transport_kwargs(base_url="http://testserver")
    kept = {k: v for k, v in asked.items() if k in ("method", "url", "json", "data", "params")}
    if "data" in kept:
        kept["content"] = kept.pop("data")
    # Schemathesis makes keys up as well; ours must be the only one, or nearly all would be 401.
    made = {k: v for k, v in dict(asked["headers"]).items() if k.lower() != "authorization"}
    return {**kept, "headers": {**made, **headers}}


def test_every_route_but_the_probes_takes_a_key_and_says_which_scope(whole):
    document = whole.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            keyed = path.startswith(("/v1/", PERSONALIZER))
            assert ("x-scope" in operation) is keyed
            assert bool(operation["security"]) is keyed
            assert "422" not in operation["responses"]


def test_every_body_is_documented(whole):
    document = whole.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for path, body in (
        ("/v1/chat/completions", "ChatRequest"),
        ("/v1/rank", "RankRequest"),
        ("/v1/feedback", "FeedbackRequest"),
        (f"{PERSONALIZER}rank", "PersonalizerRankRequest"),
        (f"{PERSONALIZER}events/{{eventId}}/reward", "PersonalizerRewardRequest"),
    ):
        told = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert told["schema"] == {"$ref": f"#/components/schemas/{body}"}
        assert body in schemas
    assert "rapport::user" in schemas["ChatRequest"]["properties"]


def test_generated_requests_meet_only_what_is_documented(whole):
    seen, slowest = hammered(whole, cases=150, seed=0)
    assert sum(seen.values()) >= 100
    assert seen[401] == 0 < min(seen[200], seen[400])
    assert slowest < SLOWEST_S


@pytest.mark.slow
def test_two_thousand_generated_requests_meet_only_what_is_documented(whole):
    seen, slowest = hammered(whole, cases=2600, seed=1)
    say(f"schemathesis: {sum(seen.values())} requests, {dict(seen)}, slowest {slowest:.2f} s")
    assert sum(seen.values()) >= 2000
    assert seen[401] == 0 < min(seen[200], seen[400])
    assert slowest < SLOWEST_S
