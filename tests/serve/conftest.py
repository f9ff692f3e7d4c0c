"""A served graph without a release, over a tiny model."""

import pytest

from serve.app import AppConfig
from tests.serve.light import serving, tiny_writer


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    with serving(AppConfig(home=folder / "home"), tiny_writer(folder / "model")) as graph:
        yield graph
