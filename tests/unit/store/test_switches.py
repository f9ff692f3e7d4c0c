import pytest

from rapport.errors import UnknownNameError
from rapport.store import open_store


def test_what_is_switched_off_stays_off_until_switched_on(store, url):
    assert store.switches.off() == frozenset()
    store.switches.turn("arm", "suggestion", off=True, by="ana")
    store.switches.turn("persona", "wry-03", off=True, by="ana")
    store.switches.turn("adapter", "wry-03", off=True, by="ben")
    store.switches.turn("persona", "wry-03", off=False, by="ben")
    reopened = open_store(url)
    assert reopened.switches.off() == {("arm", "suggestion"), ("adapter", "wry-03")}
    reopened.close()


def test_every_turn_is_kept_with_who_did_it(store):
    store.switches.turn("arm", "suggestion", off=True, by="ana")
    store.switches.turn("arm", "suggestion", off=False, by="ben")
    history = store.switches.history()
    assert [(turn.off, turn.by) for turn in history] == [(True, "ana"), (False, "ben")]
    assert history[0].ts <= history[1].ts


def test_only_known_kinds_have_switches(store):
    with pytest.raises(UnknownNameError, match="adapter"):
        store.switches.turn("person", "alice", off=True, by="ana")
