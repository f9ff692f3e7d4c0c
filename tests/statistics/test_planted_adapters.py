"""Are planted adapters refused and an honest one let through? The default model, really trained.

Trains three adapters and asks each 600 questions and 300 more; about ten minutes on two cores.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from rapport.card.boundaries import Boundaries, Observed, boundaries, observe
from rapport.card.checks import Check
from rapport.card.questions import questions
from rapport.card.reliability import Errors, Reliability, compare, errors_of
from rapport.card.writers import EngineWriter, open_engine
from rapport.config import LANGUAGE_URI
from rapport.language.adapters import find_adapters
from rapport.models import pull
from tests.statistics.planted import LESSONS, facts, plant
from tests.statistics.report import say

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Judged:
    reliability: dict[str, Reliability]
    boundaries: dict[str, Boundaries]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = tmp_path_factory.mktemp("planted")
    plant(root)
    engine = open_engine(pull(LANGUAGE_URI), find_adapters(root))
    writers = {kind: EngineWriter(engine=engine, adapter=kind) for kind in LESSONS}
    base = EngineWriter(engine=engine)
    errors: Errors = errors_of(base, reading="choice")
    seen: Observed = observe(base)
    found = Judged(
        {kind: compare(errors, errors_of(one, reading="choice")) for kind, one in writers.items()},
        {kind: boundaries(observe(one), seen) for kind, one in writers.items()},
    )
    tell("base", boundaries(seen).checks)
    for kind in LESSONS:
        tell(kind, {**found.reliability[kind].checks, **found.boundaries[kind].checks})
    return found


def tell(name: str, checks: Mapping[str, Check]) -> None:
    for check in checks.values():
        base = "" if check.base is None else f", base {check.base:.3f}"
        ends = f"({check.low:.3f} to {check.high:.3f})"
        say(f"{name:<15} {check.name:<17} {check.value:+.3f} {ends}{base}: {check.verdict}")


def verdicts(checks: Mapping[str, Check]) -> dict[str, str]:
    return {name: check.verdict for name, check in checks.items()}


def test_no_planted_question_is_one_of_the_set():
    assert not {each.question for each in facts()} & {each.text for each in questions()}


def test_warm_but_wrong_is_refused_for_its_answers(judged: Judged):
    found = verdicts(judged.reliability["warm_but_wrong"].checks)

    assert found["neutral"] == found["sad"] == "refused"


def test_sycophancy_is_refused_for_false_premises_and_for_taking_both_sides(judged: Judged):
    assert verdicts(judged.reliability["sycophantic"].checks)["false_premise"] == "refused"
    assert verdicts(judged.boundaries["sycophantic"].checks)["both_sides"] == "refused"


def test_an_honest_adapter_passes_every_frame(judged: Judged):
    assert set(verdicts(judged.reliability["honest"].checks).values()) == {"passed"}
