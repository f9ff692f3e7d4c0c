import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import ConfigError
from rapport.language.sampling import Draws, Sampling, choose


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 2), (0.51, 2), (0.52, 0), (0.999, 0)])
def test_a_draw_takes_the_token_at_which_the_sorted_nucleus_passes_it(uniform, token):
    # Sorted: .4 (token 2), .38 (token 0), ...; .5 needs these two, the first .513 of them.
    logits = logits_of(0.38, 0.2, 0.4, 0.02)

    assert choose(logits, [Sampling(temperature=1, top_p=0.5)], [uniform]) == [token]


def test_temperature_zero_takes_the_likeliest_whatever_is_drawn():
    logits = logits_of(0.3, 0.3001, 0.3999)

    assert choose(logits, [Sampling(temperature=0)], [0.99]) == [2]


def test_temperature_sharpens_as_the_formula_says():
    # At T = .5 probabilities go with their squares: .8 and .2 become .941 and .059.
    logits = logits_of(0.8, 0.2)
    sampling = Sampling(temperature=0.5, top_p=1.0)

    assert choose(logits, [sampling], [0.94]) == [0]
    assert choose(logits, [sampling], [0.942]) == [1]


@given(
    seed=st.integers(0, 2**31),
    top_p=st.floats(0.05, 1.0),
    uniform=st.floats(0, 1, exclude_max=True),
    flat=st.booleans(),
)
@settings(deadline=None)
def test_the_short_list_never_changes_the_token(seed, top_p, uniform, flat):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 700, generator=generator) * (0.1 if flat else 4.0)

    [token] = choose(logits, [Sampling(temperature=1, top_p=top_p)], [uniform])

    probabilities, ids = logits[0].double().softmax(-1).sort(descending=True)
    cumulative = probabilities.cumsum(0)
    size = int((cumulative - probabilities < top_p).sum())
    assert token in ids[:size].tolist()
    place = ids[:size].tolist().index(token)
    drawn = uniform * float(cumulative[size - 1])
    assert float(cumulative[place]) >= drawn - 1e-5
    assert float(cumulative[place] - probabilities[place]) <= drawn + 1e-5


def test_draws_follow_the_probabilities():
    logits = logits_of(0.5, 0.3, 0.2).expand(4000, 3)
    uniforms = np.random.default_rng(0).random(4000)

    tokens = choose(logits, [Sampling(temperature=1, top_p=1)] * 4000, uniforms.tolist())

    for token, probability in enumerate((0.5, 0.3, 0.2)):
        stderr = math.sqrt(probability * (1 - probability) / 4000)
        assert tokens.count(token) / 4000 == pytest.approx(probability, abs=4 * stderr)


def test_equal_seeds_draw_equal_numbers_and_others_do_not():
    first, again, other = Draws(7), Draws(7), Draws(8)

    numbers = [first.next() for _ in range(5)]

    assert numbers == [again.next() for _ in range(5)]
    assert numbers != [other.next() for _ in range(5)]
    assert all(0 <= number < 1 for number in numbers)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}, {"stop": ("",)}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Sampling(**wrong)
