"""A served graph without a release, over a tiny model; and a home with one, without a server."""

import pytest

from rapport.home import Home
from rapport.language.settings import UpstreamSettings
from serve.app import AppConfig
from tests.serve import small_home
from tests.serve.graphs import graph_over
from tests.serve.light import serving, tiny_writer
from tests.serve.other_server import KEY, MODEL, OtherServer, other_server
from tests.serve.whole_api import whole_api


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    with serving(AppConfig(home=folder / "home"), tiny_writer(folder / "model")) as graph:
        yield graph


@pytest.fixture(scope="module")
def attached(promoted_home):
    """A home with a release, served with another server's model; and that server."""
    with other_server() as other, pytest.MonkeyPatch.context() as patch:
        patch.setenv("THEIR_KEY", KEY)
        settings = UpstreamSettings(
            url=other.url, model=MODEL, key_env="THEIR_KEY", price_in=2.0, price_out=8.0
        )
        config = AppConfig(
            home=promoted_home,
            encoder=f"file:{promoted_home}/encoder",
            upstream=settings,
            deadline_s=3.0,
        )
        with serving(config) as graph:
            yield graph, other


@pytest.fixture
def served(attached):
    """The graph and the other server, which does as usual again."""
    graph, other = attached
    kept = OtherServer(url=other.url)
    vars(other).update(vars(kept))
    return graph, other


@pytest.fixture(scope="session")
def promoted_home(tmp_path_factory):
    """A home with a promoted release; its encoder knows nothing, and is fast."""
    return small_home.make(tmp_path_factory.mktemp("small") / "home")


@pytest.fixture(scope="module")
def fast(promoted_home):
    """The graph over that home with its own encoder: a crisis is told by the rules alone."""
    made = graph_over(promoted_home)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def graph(promoted_home):
    """The graph over that home, with the default encoder, which the guard's model needs."""
    made = graph_over(promoted_home, encoder=AppConfig.model_fields["encoder"].default)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The whole API over a fresh home, for several tenants and keys."""
    folder = tmp_path_factory.mktemp("whole")
    with whole_api(Home(folder / "home"), tiny_writer(folder / "model")) as made:
        yield made
