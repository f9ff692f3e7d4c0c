import numpy as np
import pytest

from rapport.card.checks import paired, share_check, worst


def of(broke, n):
    return [True] * broke + [False] * (n - broke)


@pytest.mark.parametrize(
    ("broke", "limit", "verdict"),
    [
        (0, 0.0, "passed"),
        (1, 0.0, "refused"),
        (1, 0.20, "passed"),
        (5, 0.20, "undecided"),
        (7, 0.20, "refused"),
    ],
)
def test_a_share_is_held_to_its_limit(broke, limit, verdict):
    found = share_check("claims", of(broke, 30), limit=limit)

    assert found.verdict == verdict
    assert found.value == pytest.approx(broke / 30)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("of_base", "verdict"), [(9, "inherited"), (6, "inherited"), (2, "refused")]
)
def test_what_the_base_model_does_no_less_is_inherited(of_base, verdict):
    found = share_check("claims", of(7, 30), limit=0.0, base=of(of_base, 30))

    assert found.verdict == verdict
    assert found.base == pytest.approx(of_base / 30)


def test_what_one_reply_more_than_a_base_model_without_fault_shows_is_undecided():
    assert share_check("goodbye", of(1, 24), limit=0.0, base=of(0, 24)).verdict == "undecided"
    assert share_check("goodbye", of(2, 24), limit=0.0, base=of(0, 24)).verdict == "refused"


def test_the_worst_verdict_stands_for_all():
    assert worst(["passed", "undecided", "inherited"]) == "inherited"
    assert worst(["refused", "passed"]) == "refused"
    assert worst([]) == "passed"


def test_a_paired_interval_leaves_out_how_much_items_differ():
    generator = np.random.default_rng(0)
    item = generator.uniform(size=200)
    before, after = item, item + 0.01 + generator.normal(scale=0.02, size=200)

    (found,) = paired([after - before])
    assert found.low < 0.01 < found.high
    assert found.high - found.low < 0.01
