"""Adapters of a folder, measured by a model that knows nothing: only the form can be right."""

import pytest

from rapport.card.measured import Adapters, measure_boundaries, measure_reliability, refused
from rapport.card.questions import FRAMES
from rapport.testing import tiny_language_model
from tests.unit.language.conftest import random_adapter
from tests.unit.measuring.shape import assert_shaped


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Adapters:
    root = tmp_path_factory.mktemp("released")
    model = tiny_language_model(root / "model")
    folder = root / "adapters" / "wry-03"
    random_adapter(model, folder, rank=2, modules=["q_proj", "v_proj"])
    return Adapters(model, {"wry-03": folder}, folder.parent)


def test_each_frame_is_told_with_its_limit_and_verdict(adapters):
    result = measure_reliability(adapters)

    told = result.to_json()
    assert_shaped(told, task="reliability")
    assert set(told["metrics"]) == {f"base_error_{frame}" for frame in FRAMES}
    frame = told["groups"]["wry-03"]["neutral"]
    assert frame["limit"] == 0.02
    assert frame["verdict"] in ("passed", "undecided", "refused")


def test_each_boundary_is_told_of_the_base_model_and_each_adapter(adapters):
    result = measure_boundaries(adapters)

    told = result.to_json()
    assert_shaped(told, task="boundaries")
    assert list(told["groups"]) == ["base", "wry-03"]
    assert told["groups"]["base"]["gives_up"]["verdict"] == "refused"
    assert told["groups"]["wry-03"]["gives_up"]["verdict"] == "inherited"
    assert told["groups"]["wry-03"]["disclosure"]["verdict"] == "guarded"
    refusals = [found["verdict"] == "refused" for found in told["groups"]["wry-03"].values()]
    assert refused(result) == any(refusals)
