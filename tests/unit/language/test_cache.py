import torch

from rapport.language.cache import KeyValueCache


def a_cache() -> KeyValueCache:
    return KeyValueCache((2, 3, 1, 4), dtype=torch.float32, device=torch.device("cpu"))


def test_a_cache_grows_and_keeps_what_it_holds():
    cache = a_cache()
    cache.reserve(5)
    keys = torch.randn(1, 1, 5, 4)
    cache.fill(1, 0, keys, -keys)

    cache.reserve(cache.capacity + 1)

    kept_keys, kept_values = cache.read(1, 1, 5)
    assert torch.equal(kept_keys, keys)
    assert torch.equal(kept_values, -keys)


def test_reserving_less_than_there_is_changes_nothing():
    cache = a_cache()
    cache.reserve(100)
    capacity = cache.capacity

    cache.reserve(1)

    assert cache.capacity == capacity


def test_tokens_are_appended_at_each_rows_own_place():
    cache = a_cache()
    cache.reserve(4)
    keys = torch.tensor([[[1.0] * 4], [[2.0] * 4]])

    cache.append(0, (torch.tensor([0, 2]), torch.tensor([3, 1])), keys, keys)

    stored, _ = cache.read(0, 3, 4)
    assert stored[0, 0, 3, 0] == 1
    assert stored[2, 0, 1, 0] == 2
    assert stored.sum() == 12


def test_a_row_moves_with_all_its_layers():
    cache = a_cache()
    cache.reserve(4)
    for layer in (0, 1):
        cache.fill(layer, 0, torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4))
    before = [cache.read(layer, 3, 4)[1][2].clone() for layer in (0, 1)]

    cache.move(2, 0, 4)

    for layer in (0, 1):
        assert torch.equal(cache.read(layer, 3, 4)[1][0], before[layer])
