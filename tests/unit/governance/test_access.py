from rapport.governance.access import bearer, fresh_key, key_hash


def test_keys_are_long_fresh_and_stored_hashed():
    key = fresh_key()
    assert key.startswith("rk_")
    assert len(key) > 40
    assert key != fresh_key()
    assert key not in key_hash(key)
    assert key_hash(key) == key_hash(key)


def test_only_a_bearer_header_carries_a_key():
    assert bearer("Bearer rk_x") == "rk_x"
    assert bearer("bearer  rk_x") == "rk_x"
    assert bearer("Basic rk_x") is None
    assert bearer("Bearer ") is None
    assert bearer(None) is None
