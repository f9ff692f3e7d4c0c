"""A served graph without a release, over a tiny model; and a home with one, without a server."""

import pytest

from serve.app import AppConfig
from tests.serve import small_home
from tests.serve.graphs import graph_over
from tests.serve.light import serving, tiny_writer


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    with serving(AppConfig(home=folder / "home"), tiny_writer(folder / "model")) as graph:
        yield graph


@pytest.fixture(scope="session")
def promoted_home(tmp_path_factory):
    """A home with a promoted release; its encoder knows nothing, and is fast."""
    return small_home.make(tmp_path_factory.mktemp("small") / "home")


@pytest.fixture(scope="module")
def graph(promoted_home):
    """The graph over that home, with the default encoder, which the guard's model needs."""
    made = graph_over(promoted_home, encoder=AppConfig.model_fields["encoder"].default)
    yield made
    made.store.close()
