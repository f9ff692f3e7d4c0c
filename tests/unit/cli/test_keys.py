import json

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.governance.access import key_hash
from rapport.home import Home
from rapport.store import open_store


@pytest.fixture
def keys(tmp_path):
    def ask(*words, code=0):
        ran = CliRunner().invoke(app, ["keys", *words, "--home", str(tmp_path / "h"), "--json"])
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout) if code == 0 else ran.output

    return ask


@pytest.fixture
def valid(tmp_path):
    """Whether the store of that home takes a key."""

    def look(key):
        store = open_store(Home(tmp_path / "h").store_url)
        found = store.keys.valid(key_hash(key))
        store.close()
        return found is not None

    return look


def test_a_key_is_shown_once_and_kept_as_its_hash(keys, valid):
    made = keys("create", "--scope", "read", "--agent", "customer_support", "--label", "ci")
    assert made["key"].startswith("rk_")
    assert (made["scopes"], made["agents"]) == (["read"], ["customer_support"])
    (row,) = keys("list")["keys"]
    assert made["key"] not in json.dumps(row)
    assert row["id"] == made["id"] == key_hash(made["key"])[:12]
    assert valid(made["key"])


def test_a_revoked_key_stays_listed_and_opens_nothing(keys, valid):
    made = keys("create")
    assert keys("revoke", made["id"])["state"] == "revoked"
    assert keys("list")["keys"][0]["state"] == "revoked"
    assert not valid(made["key"])


def test_an_expired_key_says_so(keys):
    keys("create", "--days", "0.0001", "--label", "short")
    assert keys("list")["keys"][0]["expires"] is not None


@pytest.mark.parametrize(
    "words",
    [("create", "--scope", "root"), ("create", "--agent", "nobody"), ("revoke", "deadbeef")],
)
def test_what_does_not_exist_is_wrong_use(keys, words):
    assert "known" in keys(*words, code=2)
