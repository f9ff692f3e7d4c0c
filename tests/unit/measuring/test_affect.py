"""`rapport evaluate affect`: which scorer reads which set, and what is missing."""

import json

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.errors import ConfigError
from rapport.measuring.affect import measure_affect
from rapport.pipeline.labelled_sets import kind_of
from tests.unit.affect.made_up import write_pairs, write_talks


def _evaluated(*words):
    return CliRunner().invoke(app, ["evaluate", "affect", *map(str, words)])


def test_a_set_is_known_by_what_it_holds(tmp_path):
    assert kind_of(write_pairs(tmp_path / "a", posts=1)) == "empathy"
    assert kind_of(tmp_path / "a" / "interpretations-reddit.csv") == "empathy"
    assert kind_of(write_talks(tmp_path / "b", dialogues=1)) == "strategies"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "train.tsv").write_text("text\t0\ta\n")
    assert kind_of(tmp_path / "c") == "emotions"


def test_a_folder_of_something_else_says_what_is_known(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ConfigError, match=r"none of the labelled sets known.*EPITOME.*ESConv"):
        kind_of(tmp_path)
    with pytest.raises(ConfigError, match="name a file or folder that is there"):
        kind_of(tmp_path / "none")


@pytest.mark.parametrize(("write", "source"), [(write_pairs, "EPITOME"), (write_talks, "ESConv")])
def test_without_a_scorer_trained_here_the_command_is_named(tmp_path, write, source):
    count = {"posts": 1} if write is write_pairs else {"dialogues": 1}
    folder = write(tmp_path / "set", **count)
    ran = _evaluated("--data", folder, "--home", tmp_path / "home", "--json")
    assert ran.exit_code == 2
    message = json.loads(ran.stdout)["error"]["message"]
    assert f"no scorer learned from {source} in this home" in message
    assert f"rapport run train_scorers --data {folder} --home {tmp_path / 'home'}" in message


def test_with_nothing_trained_and_nothing_named_it_says_what_to_do(tmp_path):
    ran = _evaluated("--home", tmp_path / "home", "--json")
    assert ran.exit_code == 2
    assert "rapport run train_scorers --data DIR" in json.loads(ran.stdout)["error"]["message"]


def test_a_set_that_is_gone_is_named(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    (models / "empathy.json").write_text(json.dumps({"data": "/nowhere/epitome"}))
    with pytest.raises(ConfigError, match=r"/nowhere/epitome.*it is gone"):
        measure_affect([], home=tmp_path)


def test_emotions_are_read_by_the_shipped_weights_also_from_a_folder(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dev.tsv").write_text("thank you so much\t15\ta\nthis is so sad\t25\tb\n")
    ran = _evaluated("--data", folder, "--home", tmp_path / "home", "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["n"] == 2
    assert told["notes"] == ["emotion: scorer under Apache-2.0"]
