"""Prompts and adapters of the shared small home, measured: it is too small for more than form."""

import json

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.measuring.perplexity import WAYS
from tests.unit.measuring.shape import assert_shaped

REPLIES = 12


def test_replies_are_read_in_every_way_by_whom_they_taught_nothing(circle):
    where = ["--data", str(circle.folder / "log"), "--home", str(circle.home)]
    ran = CliRunner().invoke(app, ["evaluate", "lm", *where, "--limit", str(REPLIES), "--json"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert_shaped(told, task="lm")
    assert told["n"] == REPLIES
    for way in WAYS:
        # A model that knows nothing gives each of its 512 tokens about the same chance.
        assert 50 < told["metrics"][f"perplexity_{way}"]["estimate"] < 2000
    assert sum(group["gain_both"]["n"] for group in told["groups"].values()) == REPLIES
    (left_out,) = (note for note in told["notes"] if "of 200 users were left out" in note)
    # Three of four users teach or tune; four standard errors of 200 are 25.
    assert 125 < int(left_out.partition(" ")[0]) < 175


@pytest.mark.parametrize("task", ["reliability", "boundaries"])
def test_every_adapter_of_a_release_is_held_to_limits(circle, task):
    ran = CliRunner().invoke(app, ["evaluate", task, "--home", str(circle.home), "--json"])

    assert ran.exit_code in (0, 3), ran.output
    told = json.loads(ran.stdout)
    assert_shaped(told, task=task)
    judged = {name: group for name, group in told["groups"].items() if name != "base"}
    assert "shared" in judged
    refused = [f["verdict"] == "refused" for group in judged.values() for f in group.values()]
    assert ran.exit_code == (3 if any(refused) else 0)
