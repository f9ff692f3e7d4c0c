"""The README tells the truth: its commands run, its tree is the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = {"pip", "poe", "git", "python3.11", "cd", "source", "curl", "export", "#"}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line.split()[0] not in SETUP]


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


@pytest.mark.parametrize("command", sorted({" ".join(c.split()[:3]) for c in commands()}))
def test_every_command_of_the_readme_is_known(command):
    words = shlex.split(command)
    while words and (
        words[-1].startswith(("-", "/", ".", '"')) or not words[-1].replace("_", "").isalpha()
    ):
        words.pop()
    if words[0] != "rapport":
        pytest.skip("not a rapport command")
    known = [[sys.executable, "-m", "rapport.cli", *words[1:n], "--help"] for n in (3, 2)]
    ran = [
        subprocess.run(c, capture_output=True, text=True, check=False, timeout=60) for c in known
    ]
    assert any(r.returncode == 0 for r in ran), ran[-1].stderr
