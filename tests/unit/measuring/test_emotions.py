import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rapport.affect.scorers import EMOTIONS
from rapport.cli.app import app
from rapport.errors import ConfigError
from rapport.measuring.emotions import _resampled, read_labelled
from rapport.measuring.result import fingerprint

GOEMOTIONS = Path(__file__).parents[4] / "shared" / "data" / "goemotions" / "dev.tsv"


def test_f1_by_hand():
    there = np.array([[True, False], [True, True], [False, False]])
    labels = np.array([[True, False], [False, True], [False, True]])
    macro, micro, first, second = _resampled(there, labels)[0]
    # First label: 1 hit of 2 found and 1 there; second: 1 hit of 1 found and 2 there.
    assert (first, second) == pytest.approx((2 / 3, 2 / 3))
    assert (macro, micro) == pytest.approx((2 / 3, 4 / 6))


def test_lines_that_are_no_labelled_text_are_counted(tmp_path):
    file = tmp_path / "some.tsv"
    file.write_text("happy\t17\ta\nboth\t0,25\tb\nno label\nwrong\t99\tc\n")
    texts, labels, skipped = read_labelled(file)
    assert (texts, skipped) == (["happy", "both"], 2)
    assert [EMOTIONS[i] for i in np.flatnonzero(labels[1])] == ["admiration", "sadness"]


def test_a_file_without_labels_says_what_it_needs(tmp_path):
    file = tmp_path / "some.tsv"
    file.write_text("just text\n")
    with pytest.raises(ConfigError, match="label numbers below 28"):
        read_labelled(file)


def test_a_folders_fingerprint_follows_its_files(tmp_path):
    (tmp_path / "a").write_text("1")
    before = fingerprint(tmp_path)
    assert before == fingerprint(tmp_path)
    (tmp_path / "b").write_text("2")
    assert fingerprint(tmp_path) != before


@pytest.mark.skipif(not GOEMOTIONS.exists(), reason="GoEmotions is not beside the checkout")
def test_goemotions_as_the_readme_states_it(tmp_path):
    words = ["affect", "--data", str(GOEMOTIONS), "--home", str(tmp_path / "none"), "--json"]
    ran = CliRunner().invoke(app, ["evaluate", *words])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["n"] > 4000
    macro = told["metrics"]["macro_f1"]
    assert macro["low"] < macro["estimate"] < macro["high"]
    assert macro["estimate"] > 0.45
