import json
from pathlib import Path

import torch

from rapport.language.adaptation import Optimiser, adapted, write_adapter
from rapport.language.adapters import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from rapport.language.batches import Encoded
from rapport.language.loading import Hardware, LanguageModel, load_language_model
from rapport.language.losses import reply_losses
from rapport.language.settings import TrainingSettings
from rapport.language.workers import Workers

SETTINGS = TrainingSettings(rank=2, alpha=4, seed=3)
EXAMPLE = Encoded((5, 60, 7, 9, 2), 2, "a")


def loss(model) -> float:
    with torch.no_grad():
        return float(reply_losses(model, [EXAMPLE]).sum())


def trained(loaded: LanguageModel, folder: Path, *, steps: int = 3) -> float:
    with adapted(loaded.model, SETTINGS, start_from=None) as wrapped:
        model, optimiser = wrapped.get_base_model(), Optimiser(wrapped, Workers())
        for _ in range(steps):
            torch.autograd.backward(reply_losses(model, [EXAMPLE]).sum())
            optimiser.step(0.01, torch.tensor(3.0))
        write_adapter(wrapped, folder, base="tiny@123")
        return loss(model)


def test_a_new_adapter_changes_nothing_until_it_has_learnt(loaded: LanguageModel, tmp_path: Path):
    before = loss(loaded.model)

    assert trained(loaded, tmp_path / "none", steps=0) == before
    assert trained(loaded, tmp_path / "some") < before


def test_the_base_model_is_as_it_was_afterwards(loaded: LanguageModel, tmp_path: Path):
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}

    trained(loaded, tmp_path / "a")

    after = loaded.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_written_adapter_is_taken_up_where_it_was(loaded: LanguageModel, tmp_path: Path):
    reached = trained(loaded, tmp_path / "a")

    with adapted(loaded.model, SETTINGS, start_from=tmp_path / "a") as wrapped:
        assert loss(wrapped.get_base_model()) == reached


def test_the_same_training_writes_the_same_bytes(loaded: LanguageModel, tmp_path: Path):
    trained(loaded, tmp_path / "a")
    trained(loaded, tmp_path / "b")

    for file in (CONFIG_FILE, WEIGHTS_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_a_written_adapter_names_its_base_and_no_path(loaded: LanguageModel, tmp_path: Path):
    trained(loaded, tmp_path / "a")

    config = json.loads((tmp_path / "a" / CONFIG_FILE).read_text())
    assert config["base_model_name_or_path"] == "tiny@123"
    assert str(loaded.folder) not in json.dumps(config)
    assert read_adapter(tmp_path / "a").rank == 2


def test_a_state_restores_factors_and_momentum(loaded: LanguageModel):
    def taught(steps: int, *, again_at: int | None = None) -> list[torch.Tensor]:
        with adapted(loaded.model, SETTINGS, start_from=None) as wrapped:
            model, optimiser = wrapped.get_base_model(), Optimiser(wrapped, Workers())
            for step in range(steps):
                if step == again_at:
                    state = optimiser.state()
                    optimiser = Optimiser(wrapped, Workers())
                    optimiser.restore(state)
                torch.autograd.backward(reply_losses(model, [EXAMPLE]).sum())
                optimiser.step(0.01, torch.tensor(3.0))
            return optimiser.factors()

    for straight, resumed in zip(taught(4), taught(4, again_at=2), strict=True):
        assert torch.equal(straight, resumed)


def test_steps_too_small_for_bfloat16_add_up(model_dir: Path):
    half = Hardware(torch.device("cpu"), torch.bfloat16)
    loaded = load_language_model(model_dir, hardware=half)
    with adapted(loaded.model, SETTINGS, start_from=None) as wrapped:
        optimiser = Optimiser(wrapped, Workers())
        before = optimiser.factors()[0]
        for _ in range(50):
            torch.autograd.backward(reply_losses(wrapped.get_base_model(), [EXAMPLE]).sum())
            optimiser.step(1e-5, torch.tensor(3.0))

    moved = (optimiser.factors()[0] - before).abs().max()
    # AdamW moves by about its rate a step, here far below the grain of bfloat16 (4e-4 near .1).
    assert 1e-4 < moved < 50 * 3e-5
