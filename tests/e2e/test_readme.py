"""The README tells the truth: its commands run, its tree is the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Words of every `rapport` command in the README's shell blocks, options left out."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL))
    lines = [
        line for line in blocks.replace("\\\n", " ").splitlines() if line.startswith("rapport")
    ]
    return [shlex.split(line, comments=True) for line in lines]


def test_the_two_set_up_lines_stand_in_the_readme_and_in_the_smoke_run():
    smoke = (ROOT / "tests/e2e/smoke.sh").read_text(encoding="utf-8")
    for line in ("pip install -e . && rapport demo", 'pip install -e ".[dev]" && poe check'):
        assert line in README
        assert line in smoke


def test_every_room_of_the_tree_exists_and_is_drawn():
    drawn = set(
        re.findall(r"^\s*(platform/rapport|jobs|serve|tests|[a-z_]+)/ ", README, flags=re.M)
    )
    rooms = {p.parent.name for p in (ROOT / "platform/rapport").glob("*/__init__.py")}
    assert rooms - {"menus"} <= drawn, rooms - drawn


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_is_known_with_its_options(words):
    depth = 2 if words[1] in ("release", "models") else 1
    command = [sys.executable, "-m", "rapport.cli", *words[1 : 1 + depth], "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in ran.stdout
