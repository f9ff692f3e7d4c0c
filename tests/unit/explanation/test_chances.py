import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rapport.explanation.chances import EXACT, chances, probabilities
from rapport.policy.behaviour import Behaviour

NLP, REC = np.array([0.5, 0.25, 0.25]), np.array([0.5, 0.8, 0.5])
SAFE = np.ones(3, dtype=bool)
score = arrays(np.float64, 4, elements=st.floats(1e-3, 1.0))


def test_each_step_by_hand():
    # Products .25, .2, .125 of .575; epsilon .3 adds .1 each to .7 of the shares.
    share = np.array([0.25, 0.2, 0.125]) / 0.575
    found = chances(Behaviour(epsilon=0.3), NLP, REC, safe=SAFE, logged=0.7 * share + 0.1)
    assert found.score == pytest.approx([0.25, 0.2, 0.125])
    assert found.share == pytest.approx(share)
    assert found.floor == pytest.approx([0.1, 0.1, 0.1])
    assert found.allowed is True
    assert found.error <= EXACT


def test_an_unsafe_candidate_gets_no_floor():
    safe = np.array([False, True, True])
    logged = probabilities(Behaviour(epsilon=0.2), NLP, REC, safe=safe, allowed=True)
    found = chances(Behaviour(epsilon=0.2), NLP, REC, safe=safe, logged=logged)
    assert found.floor == pytest.approx([0, 0.1, 0.1])


def test_a_certain_reply_was_not_left_to_chance():
    found = chances(Behaviour(epsilon=0.3), NLP, REC, safe=SAFE, logged=np.array([1.0, 0.0, 0.0]))
    assert (found.allowed, found.floor.tolist()) == (False, [0, 0, 0])
    assert found.error == 0


def test_what_no_way_gives_again_is_told():
    found = chances(Behaviour(), NLP, REC, safe=SAFE, logged=np.array([0.2, 0.2, 0.6]))
    assert found.allowed is None
    assert found.error > 0.1


@given(nlp=score, rec=score, epsilon=st.floats(0, 1), allowed=st.booleans())
def test_steps_add_up_to_what_was_drawn_from(nlp, rec, epsilon, allowed):
    behaviour, safe = Behaviour(a=1.5, b=3.0, temperature=0.7, epsilon=epsilon), nlp < 0.9
    logged = probabilities(behaviour, nlp, rec, safe=safe, allowed=allowed)
    found = chances(behaviour, nlp, rec, safe=safe, logged=logged)
    kept = 1 - found.floor.sum()
    assert found.replayed == pytest.approx(logged, abs=EXACT)
    assert kept * found.share + found.floor == pytest.approx(logged, abs=EXACT)
