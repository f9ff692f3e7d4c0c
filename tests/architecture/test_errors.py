"""Errors cross process borders and speak to the one who must act."""

import inspect
import pickle

import pytest

from rapport import errors

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.RapportError) and kind is not errors.RapportError
]


def build(kind: type[errors.RapportError]) -> errors.RapportError:
    facts = {
        "value": 9,
        "have": 3,
        "need": 10,
        "budget_s": 2.0,
        "signal_number": 2,
        "known": ("a",),
        "reasons": ("r",),
    }
    names = [n for n in inspect.signature(kind).parameters if n not in ("args", "kwargs")]
    return kind(*[facts.get(name, name) for name in names])


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_its_message(kind):
    error = build(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_is_drawn_in_the_tree(kind):
    assert kind.__name__ in (errors.__doc__ or "") or kind in errors.ServingError.__subclasses__()
