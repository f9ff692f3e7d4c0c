import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import ConfigError, DataError, UnknownNameError
from rapport.language.adapters import Adapter
from rapport.language.lora import AdapterBank, Shape

SHAPE = Shape(
    layers=2,
    inputs={"qkv": 6, "out": 6, "gate_up": 6, "down": 10},
    outputs={"q_proj": 6, "k_proj": 2, "v_proj": 2, "o_proj": 6,
             "gate_proj": 10, "up_proj": 10, "down_proj": 6},
)  # fmt: skip
INPUTS = {"q_proj": 6, "k_proj": 6, "v_proj": 6, "o_proj": 6, "gate_proj": 6, "up_proj": 6}


def an_adapter(*modules: str, rank: int = 2, seed: int = 0, layer: int = 1) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    down = {(layer, m): torch.randn(rank, INPUTS[m], generator=generator) for m in modules}
    up = {(layer, m): torch.randn(SHAPE.outputs[m], rank, generator=generator) for m in modules}
    return Adapter(rank, down, up)


def a_bank(capacity: int = 3) -> AdapterBank:
    return AdapterBank(SHAPE, capacity=capacity, dtype=torch.float64, device=torch.device("cpu"))


def added(bank: AdapterBank, row: int, site: str, inputs: torch.Tensor) -> torch.Tensor:
    width = {"qkv": 10, "out": 6}[site]
    nothing = torch.zeros(1, 1, width, dtype=torch.float64)
    return bank.select([row]).add(site, 1, inputs[None, None], nothing)[0, 0]


def test_a_module_beside_others_reads_and_writes_its_own_part():
    # One rank: x = (1, 2, 0, ...) -> down (3, 1) -> 5 -> up (1, -1) at k's two places of q|k|v.
    down = torch.zeros(1, 6)
    down[0, :2] = torch.tensor([3.0, 1.0])
    adapter = Adapter(1, {(1, "k_proj"): down}, {(1, "k_proj"): torch.tensor([[1.0], [-1.0]])})
    bank = a_bank()
    bank.add("one", adapter)

    result = added(bank, 1, "qkv", torch.tensor([1.0, 2, 0, 0, 0, 0], dtype=torch.float64))

    assert result.tolist() == [0, 0, 0, 0, 0, 0, 5, -5, 0, 0]


@given(
    ranks=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    modules=st.sets(st.sampled_from(["q_proj", "k_proj", "v_proj", "o_proj"]), min_size=1),
)
@settings(deadline=None)
def test_adapters_of_any_ranks_and_modules_stack(ranks, modules):
    bank = a_bank()
    made = [an_adapter(*sorted(modules), rank=r, seed=i) for i, r in enumerate(ranks)]
    for place, adapter in enumerate(made):
        bank.add(f"a{place}", adapter)
    inputs = torch.linspace(-1, 1, 6, dtype=torch.float64)

    for place, adapter in enumerate(made):
        wanted = {
            m: adapter.up[1, m].double() @ adapter.down[1, m].double() @ inputs for m in modules
        }
        zeros = {m: torch.zeros(SHAPE.outputs[m], dtype=torch.float64) for m in INPUTS}
        parts = [wanted.get(m, zeros[m]) for m in ("q_proj", "k_proj", "v_proj")]
        row = bank.row(f"a{place}")
        torch.testing.assert_close(added(bank, row, "qkv", inputs), torch.cat(parts))
        expected = wanted.get("o_proj", zeros["o_proj"])
        torch.testing.assert_close(added(bank, row, "out", inputs), expected)


def test_the_base_model_is_left_alone_beside_an_adapter():
    bank = a_bank()
    bank.add("one", an_adapter("o_proj"))

    selection = bank.select([0, 1])
    outputs = selection.add("out", 1, torch.ones(2, 1, 6).double(), torch.zeros(2, 1, 6).double())

    assert not outputs[0].any()
    assert outputs[1].any()


def test_a_batch_keeps_the_adapter_it_holds_when_its_name_is_given_to_another():
    bank = a_bank()
    bank.add("one", an_adapter("o_proj", seed=1))
    old = bank.row("one")
    bank.hold(old)
    before = added(bank, old, "out", torch.ones(6).double())

    bank.add("one", an_adapter("o_proj", seed=2))

    assert bank.row("one") != old
    torch.testing.assert_close(added(bank, old, "out", torch.ones(6).double()), before)


def test_the_adapter_longest_not_used_makes_room():
    bank = a_bank(capacity=2)
    for name in ("one", "two"):
        bank.add(name, an_adapter("o_proj"))
    bank.hold(bank.row("one"))
    bank.release(bank.row("one"))

    bank.add("three", an_adapter("o_proj"))

    assert bank.names == ("one", "three")


def test_memory_is_bounded_and_adapters_in_use_stay():
    bank = a_bank(capacity=2)
    for name in ("one", "two"):
        bank.add(name, an_adapter("o_proj"))
        bank.hold(bank.row(name))
    held = bank.row("one")
    bank.remove("one")
    with pytest.raises(ConfigError, match="max_adapters"):
        bank.add("three", an_adapter("o_proj"))

    bank.release(held)
    bank.add("three", an_adapter("o_proj"))

    assert bank.names == ("three", "two")
    assert bank.row("three") == held


def test_replacing_an_adapter_nobody_holds_needs_no_free_row():
    bank = a_bank(capacity=1)
    bank.add("one", an_adapter("o_proj", seed=1))

    bank.add("one", an_adapter("o_proj", seed=2))

    assert bank.names == ("one",)


def test_an_unknown_adapter_is_named_with_the_known_ones():
    bank = a_bank()
    bank.add("wry-03", an_adapter("o_proj"))

    with pytest.raises(UnknownNameError, match=r"'dry-01'.*wry-03"):
        bank.row("dry-01")
    with pytest.raises(UnknownNameError):
        bank.remove("dry-01")


def test_an_adapter_of_another_model_is_refused():
    with pytest.raises(DataError, match="o_proj of layer 5"):
        a_bank().add("one", an_adapter("o_proj", layer=5))
    wide = Adapter(1, {(0, "o_proj"): torch.ones(1, 7)}, {(0, "o_proj"): torch.ones(6, 1)})
    with pytest.raises(DataError, match="base model"):
        a_bank().add("one", wide)
