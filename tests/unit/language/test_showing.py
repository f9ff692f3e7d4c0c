import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.errors import DataError
from rapport.language.prompts import Message
from rapport.language.showing import Context, judge, recovered, write_replies
from rapport.language.transformers_engine import TransformersEngine

from .conftest import EXACT

ARMS = ("question", "reflection", "suggestion", "clarify")


def test_an_arm_shows_at_twice_chance_and_beyond_doubt():
    # Of 20 replies an arm, 18, 10 and 8 and 0 are recognised; chance is 5.
    right = {"question": 18, "reflection": 10, "suggestion": 8, "clarify": 0}
    written = [arm for arm in ARMS for _ in range(20)]
    probabilities = np.zeros((80, 4))
    for row, arm in enumerate(written):
        place = ARMS.index(arm)
        probabilities[row, place if row % 20 < right[arm] else (place + 1) % 4] = 1

    found = judge(written, probabilities, ARMS)

    assert found.chance == 0.25
    assert found.overall.share == 36 / 80
    assert found.arms["suggestion"].share == 0.4
    assert found.shown == ("question", "reflection")


def test_few_replies_are_not_enough_to_say_that_an_arm_shows():
    found = judge(["question", "question"], np.eye(4)[[0, 1]], ARMS)

    assert found.arms["question"].share == 0.5 >= 2 * found.chance
    assert found.shown == ()


def test_an_arm_that_is_not_scored_is_refused():
    with pytest.raises(DataError, match="apology"):
        judge(["apology"], np.ones((1, 4)), ARMS)


def test_the_interval_of_a_share_is_wilsons():
    # 8 of 10: (0.8 + 1.9208 / 10) / 1.38416 -+ 0.9600 * sqrt(...): 0.490 to 0.943.
    share = recovered(8, 10)

    assert (share.low, share.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@given(n=st.integers(0, 500), part=st.floats(0, 1))
def test_an_interval_holds_its_share(n, part):
    share = recovered(round(n * part), n)

    assert 0 <= share.low <= share.share <= share.high <= 1 or n == 0
    assert share.low <= share.high


def test_replies_are_written_under_every_arm_in_turn(model_dir, adapters):
    engine = TransformersEngine(model_dir, adapters, hardware=EXACT)
    menu = load_menu()
    contexts = [
        Context([Message(role="user", content="I feel low.")], "wry-03"),
        Context([Message(role="user", content="My cat is ill.")], None),
    ]

    written = write_replies(engine, menu, contexts, n=20, seed=5)

    assert written.arms[:8] == written.arms[8:16] == [arm.name for arm in menu.served]
    assert len(written.texts) == 20
    assert written == write_replies(engine, menu, contexts, n=20, seed=5)
