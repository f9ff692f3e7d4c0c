import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app


@pytest.mark.parametrize("task", ["reliability", "boundaries"])
@pytest.mark.parametrize(
    ("words", "param", "remedy"),
    [
        (["--adapter", "nowhere"], "--adapter", "adapter_config.json"),
        (["--adapter", "nowhere", "--release", "calm"], "--adapter", "not both"),
        ([], "--release", "rapport demo"),
    ],
)
def test_what_cannot_be_measured_is_named_with_a_remedy(
    task: str, words: list[str], param: str, remedy: str, tmp_path: Path
):
    home = ["--home", str(tmp_path / "home"), "--json"]
    ran = CliRunner().invoke(app, ["evaluate", task, *words, *home])

    assert ran.exit_code == 2
    told = json.loads(ran.stdout)["error"]
    assert told["param"] == param
    assert remedy in told["message"]
