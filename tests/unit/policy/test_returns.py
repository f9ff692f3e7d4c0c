from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import DataError
from tests.unit.policy.worlds import a_world

ALONE, _ = a_world(n=6)
WEIGHTS = 0.5 ** np.arange(10)


def talks(reward, *, episode, turn):
    situation = replace(ALONE.situation, turn_index=np.array(turn))
    return replace(ALONE, reward=np.array(reward), episode=np.array(episode), situation=situation)


def test_what_came_after_counts_in_order_of_turns_and_within_the_conversation():
    data = talks(
        [4.0, 1.0, 2.0, 8.0, np.nan, 16.0],
        episode=["a", "a", "a", "b", "c", "c"],
        turn=[5, 1, 3, 1, 1, 3],
    )
    by_hand = np.array([4.0, 1.0 + 2.0 / 2 + 4.0 / 4, 2.0 + 4.0 / 2, 8.0, 16.0 / 2, 16.0])
    assert data.with_returns(0.5).reward == pytest.approx(by_hand / WEIGHTS.sum())


def test_without_gamma_and_without_conversations_nothing_changes():
    assert ALONE.with_returns(0.0) is ALONE
    with pytest.raises(DataError, match="episode"):
        ALONE.with_returns(0.5)


def test_gamma_is_inert_where_conversations_have_one_decision():
    data = talks(ALONE.reward, episode=list("abcdef"), turn=[1] * 6)
    found = data.with_returns(0.9).reward * (0.9 ** np.arange(10)).sum()
    assert np.allclose(found, ALONE.reward, equal_nan=True)


def test_logs_with_and_without_conversations_are_not_mixed():
    with pytest.raises(DataError, match="episode"):
        ALONE.joined(replace(ALONE, episode=ALONE.user))
