"""Routing with personas that are switched off: the others share what was theirs, exactly."""

import numpy as np
import pytest

from rapport.governance.verdicts import SAFE
from rapport.personas.model import PersonaModel
from rapport.users.encoder import UserEncoder
from rapport.users.features import Cuts
from serve.reading import Reading
from serve.router import PersonaRouter

NAMES = ("ash-01", "elm-02", "oak-03")
PRIOR = (0.5, 0.3, 0.2)


@pytest.fixture
def router():
    """Three personas that only their prior tells apart."""
    personas = PersonaModel(
        names=NAMES,
        origin=np.zeros(3),
        projection=np.eye(3)[:, :1],
        centroids=np.zeros((3, 1)),
        log_prior=np.log(PRIOR),
        spread=0.5,
        temperature=1.0,
        users=np.array([5, 3, 2]),
    )
    return PersonaRouter(personas, UserEncoder("words@1", 3, 30.0, Cuts((), (), ())))


def route(router):
    message = Reading(np.zeros(3, np.float32), np.zeros(28), 0.0, SAFE)
    return router.route(router.users.empty(), message)


def test_all_open_the_posterior_is_the_models(router):
    np.testing.assert_allclose(route(router).posterior, PRIOR)


def test_a_closed_persona_leaves_its_share_to_the_others(router):
    found = route(router.without({"ash-01"}))
    np.testing.assert_allclose(found.posterior, [0, 0.6, 0.4])
    assert (found.persona_id, found.margin) == ("elm-02", pytest.approx(0.2))


def test_closed_personas_open_again(router):
    again = router.without({"ash-01", "elm-02"}).without(())
    assert route(again).persona_id == "ash-01"


def test_with_all_closed_there_is_nothing_to_route_to(router):
    assert router.without(NAMES) is None
