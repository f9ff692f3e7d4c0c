"""Every task prints the same object; `personas` and `lm` are held to it where they are tested."""

import json

import numpy as np
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.home import Home
from rapport.lake import Lake
from tests.unit.measuring.shape import assert_shaped
from tests.unit.measuring.test_open_bandit import BTS, ITEMS, write
from tests.unit.measuring.test_replies import told


def evaluated(task, *words):
    ran = CliRunner().invoke(app, ["evaluate", task, *map(str, words), "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_of_estimators(tmp_path):
    write(tmp_path, "random", np.full(ITEMS, 1 / ITEMS), seed=0)
    write(tmp_path, "bts", BTS, seed=1)
    assert_shaped(evaluated("ope", "--data", tmp_path), task="ope")


def test_of_emotions(tmp_path):
    file = tmp_path / "some.tsv"
    file.write_text("thank you so much\t15\ta\nthis is so sad\t25\tb\nwhat a day\t27\tc\n")
    assert_shaped(evaluated("affect", "--data", file), task="affect")


def test_of_replies(tmp_path):
    home = Home(tmp_path / "home")
    told(Lake(home.lake), "ann", [("My exam is near.", "Which exam is it?")])
    told(Lake(home.lake), "bob", [("My flight is late.", "When should it leave?")])
    assert_shaped(evaluated("replies", "--home", home.root), task="replies")
