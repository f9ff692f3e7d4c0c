import multiprocessing

import pytest

from rapport.config import HomeConfig, resolve
from rapport.errors import ConfigError, LockedError
from rapport.home import Home, home_of, user_key


def _hold(root, ready, done):
    with Home(root).lock("run"):
        ready.set()
        done.wait(20)


def test_a_second_holder_is_refused_naming_the_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    try:
        assert ready.wait(20)
        home = Home(tmp_path)
        with pytest.raises(LockedError, match=f"process {holder.pid}"), home.lock("run"):
            pass
        with home.lock("serve"):
            pass
        with pytest.raises(LockedError, match=f"'run' lock .* process {holder.pid}"), home.alone():
            pass
    finally:
        done.set()
        holder.join(20)
    with Home(tmp_path).lock("run"):
        pass


def test_a_home_held_alone_lets_nobody_in(tmp_path):
    home = Home(tmp_path)
    with home.alone():
        for name in ("serve", "run"):
            with pytest.raises(LockedError, match="'home' lock"), home.lock(name):
                pass
        with pytest.raises(LockedError, match="'home' lock"), home.alone():
            pass
    with home.lock("serve"), home.lock("run"):
        pass


def test_the_secret_is_made_once_and_private(tmp_path):
    home = Home(tmp_path)
    assert home.secret() == Home(tmp_path).secret()
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_user_keys_depend_on_tenant_and_secret():
    key = user_key(b"s", "t", "alice")
    assert len(key) == 32
    assert len({key, user_key(b"s", "u", "alice"), user_key(b"z", "t", "alice")}) == 3
    assert "alice" not in key


@pytest.mark.parametrize("name", ["my home", "h%20e", "caf\u00e9"])
def test_a_home_whose_tables_could_not_be_read_is_refused_at_once(tmp_path, name):
    with pytest.raises(ConfigError, match="--home"):
        Home(tmp_path / name)
    assert not (tmp_path / name).exists()


ELSEWHERE = "postgresql+psycopg://me:hush@db.example/rapport?sslpassword=hush"


def test_the_store_is_the_homes_own_until_another_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("RAPPORT_STORE", raising=False)
    own = home_of(resolve(HomeConfig, flags={"home": tmp_path}))
    assert own.store_url == f"sqlite:///{tmp_path / 'store.db'}"
    assert not own.has_store
    monkeypatch.setenv("RAPPORT_STORE", ELSEWHERE)
    config = resolve(HomeConfig, flags={"home": tmp_path})
    assert "hush" not in f"{config!r} {config.model_dump_json()}"
    named = home_of(config)
    assert named.store_url == ELSEWHERE
    assert named.has_store


def test_a_home_whose_store_is_elsewhere_is_not_opened_without_it(tmp_path):
    assert Home(tmp_path, store=ELSEWHERE).store_url == ELSEWHERE
    with pytest.raises(ConfigError, match="set RAPPORT_STORE") as caught:
        _ = Home(tmp_path).has_store
    assert "postgresql+psycopg://db.example/rapport" in str(caught.value)
    assert "hush" not in f"{caught.value} {(tmp_path / 'store.at').read_text()}"
    (tmp_path / "store.at").unlink()
    assert Home(tmp_path).store_url.startswith("sqlite")
