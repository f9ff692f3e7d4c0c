import json
from typing import Any

import numpy as np
import pytest

from rapport.affect.weights import load_weights, save_weights
from rapport.errors import DataError, ModelHashError, UnknownNameError

ARRAYS: dict[str, Any] = {
    "a": np.arange(6, dtype=np.int8).reshape(2, 3),
    "b": np.ones(2, dtype=np.float32),
}


def test_what_is_saved_is_read_back(tmp_path):
    path = save_weights(tmp_path / "new", "mood", ARRAYS, {"licence": "Apache-2.0"})
    arrays, facts = load_weights(tmp_path / "new", "mood")
    assert (arrays["a"] == ARRAYS["a"]).all()
    assert arrays["b"].dtype == np.float32
    assert facts["licence"] == "Apache-2.0"
    assert path.name == "mood.json"


def test_saving_again_leaves_one_file_of_arrays(tmp_path):
    save_weights(tmp_path, "mood", ARRAYS, {})
    save_weights(tmp_path, "mood", {"a": ARRAYS["a"] + 1}, {})
    assert len(list(tmp_path.iterdir())) == 2
    assert load_weights(tmp_path, "mood")[0]["a"][0, 0] == 1


def test_arrays_without_their_json_do_not_disturb_the_old_weights(tmp_path):
    save_weights(tmp_path, "mood", ARRAYS, {})
    save_weights(tmp_path / "other", "mood", {"a": ARRAYS["a"] + 1}, {})
    (stray,) = (tmp_path / "other").glob("*.safetensors")
    stray.rename(tmp_path / stray.name)
    assert load_weights(tmp_path, "mood")[0]["a"][0, 0] == 0


def test_damaged_arrays_are_refused(tmp_path):
    save_weights(tmp_path, "mood", ARRAYS, {})
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelHashError, match="pinned is"):
        load_weights(tmp_path, "mood")


def test_missing_weights_are_named(tmp_path):
    (tmp_path / "anger.json").write_text(json.dumps({}))
    with pytest.raises(UnknownNameError, match="known: anger"):
        load_weights(tmp_path, "mood")


def test_facts_that_cannot_be_read_are_named(tmp_path):
    save_weights(tmp_path, "mood", ARRAYS, {})
    (tmp_path / "mood.json").write_text('{"weights": ')
    with pytest.raises(DataError, match=r"mood.json' is damaged; train again"):
        load_weights(tmp_path, "mood")
