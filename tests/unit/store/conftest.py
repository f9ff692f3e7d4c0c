import os

import pytest
from sqlalchemy import create_engine

from rapport.store import open_store, tables


@pytest.fixture
def url(tmp_path):
    """An empty store; `RAPPORT_TEST_STORE_URL` names another database to run these tests on."""
    other = os.environ.get("RAPPORT_TEST_STORE_URL")
    if other is None:
        return f"sqlite:///{tmp_path / 'store.db'}"
    engine = create_engine(other)
    tables.metadata.drop_all(engine)
    engine.dispose()
    return other


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()
