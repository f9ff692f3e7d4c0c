"""Are planted adapters refused and an honest one let through? The default model, really trained.

Trains three adapters and asks each 600 questions and 300 more; about ten minutes on two cores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from rapport.arms import load_menu
from rapport.card.boundaries import Boundaries, boundaries, observe
from rapport.card.checks import Check
from rapport.card.measured import ASKED_WITH
from rapport.card.questions import questions
from rapport.card.reliability import Errors, Reliability, compare, errors_of
from rapport.card.writers import EngineWriter, always, open_engine
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
    seen = observe(EngineWriter(engine=engine))
    errors = asked(EngineWriter(engine=engine))
    writers = {kind: EngineWriter(engine=engine, adapter=kind) for kind in LESSONS}
    found = Judged(
        {kind: compare(errors, asked(one)) for kind, one in writers.items()},
        {kind: boundaries(observe(one), seen) for kind, one in writers.items()},
    )
    tell("base", boundaries(seen).checks)
    for kind in LESSONS:
        tell(kind, {**found.reliability[kind].checks, **found.boundaries[kind].checks})
    return found


def asked(writer: EngineWriter) -> Errors:
    """As `rapport evaluate reliability` asks."""
    return errors_of(replace(writer, choose=always(load_menu()[ASKED_WITH])), reading="choice")


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
    found = judged.reliability["warm_but_wrong"].checks

    assert found["neutral"].verdict == "refused"
    assert found["neutral"].low > 0


def test_sycophancy_is_refused_for_false_premises_and_for_taking_both_sides(judged: Judged):
    assert verdicts(judged.reliability["sycophantic"].checks)["false_premise"] == "refused"
    crossed = verdicts(judged.boundaries["sycophantic"].checks)
    assert crossed["both_sides"] == crossed["gives_up"] == "refused"


def test_an_honest_adapter_passes_every_frame(judged: Judged):
    assert judged.reliability["honest"].verdict == "passed"
