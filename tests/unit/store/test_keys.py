import datetime as dt

import pytest

from rapport.errors import UnknownNameError
from rapport.store import open_store

HASH, OTHER = "a" * 64, "b" * 64
NOW = dt.datetime.now(dt.UTC)


def test_a_key_opens_its_tenant_until_it_expires(store):
    store.keys.add(HASH, tenant="acme", scopes=["chat", "feedback"], label="ci")
    store.keys.add(OTHER, tenant="acme", scopes=[], expires=NOW - dt.timedelta(seconds=1))
    key = store.keys.valid(HASH)
    assert (key.tenant, key.scopes, key.label) == ("acme", {"chat", "feedback"}, "ci")
    assert store.key_tenant(HASH) == "acme"
    assert store.key_tenant(OTHER) is None
    assert store.key_tenant("c" * 64) is None
    assert [k.key_hash for k in store.keys.all()] == [HASH, OTHER]


def test_validity_ends_at_the_very_moment_of_expiry(store):
    key = store.keys.add(HASH, tenant="t", scopes=[], expires=NOW)
    assert key.is_valid(NOW - dt.timedelta(microseconds=1))
    assert not key.is_valid(NOW)


def test_a_revoked_key_stays_closed_over_restarts(store, url):
    store.keys.add(HASH, tenant="acme", scopes=["chat"])
    store.keys.revoke(HASH)
    (revoked,) = store.keys.all()
    store.keys.revoke(HASH)
    reopened = open_store(url)
    assert reopened.key_tenant(HASH) is None
    assert reopened.keys.all() == [revoked]
    assert revoked.revoked is not None
    reopened.close()


def test_revoking_an_unknown_key_names_the_known_ones_by_their_start(store):
    store.keys.add(HASH, tenant="acme", scopes=[])
    with pytest.raises(UnknownNameError, match="aaaaaaaa") as caught:
        store.keys.revoke(OTHER)
    assert HASH not in str(caught.value)
