import pytest

from rapport.store import open_store


@pytest.fixture
def url(store_url):
    """An empty store: every test here runs on both databases."""
    return store_url


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()
