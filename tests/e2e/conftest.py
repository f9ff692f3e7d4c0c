"""One small circle that the end-to-end tests share, made by the README's own commands."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rapport.home import Home
from rapport.testing import tiny_language_model
from tests.serve.small_home import keep_secret

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = {
    "RAPPORT_SHARED_TOKENS": "800",
    "RAPPORT_PERSONA_TOKENS": "300",
    "RAPPORT_REPLIES": "210",
    "RAPPORT_PAIRS": "24",
    "RAPPORT_TRIALS": "2",
}
"""Settings that shrink the trainings; names and commands stay the README's."""
DEADLINE_S = 600
"""For the whole pipeline on a busy machine; it takes about 100 s of two quiet cores."""


def shell_blocks(*, starting: str) -> list[str]:
    """The README's shell blocks whose first command starts so."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [block for block in blocks if commands(block)[0].startswith(starting)]


def python_blocks() -> list[str]:
    """What the README shows of the library, in its order."""
    return re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a shell block, comments left out; a command's further lines are indented."""
    parts = re.split(r"\n(?=\S)", block.strip())
    return [part for part in parts if not part.startswith("#")]


@dataclass(frozen=True)
class Circle:
    """A folder with a log and a home, as a newcomer's would be after the README's commands."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / ".rapport"

    def shell(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run lines of the README where a newcomer would; `rapport` is this environment's.

        What still runs at the deadline is ended with all it started.
        """
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PATH": path, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(script, process.returncode, out, err)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """URI of a tiny random model: right in shape, wrong in every word, fast."""
    return f"file:{tiny_language_model(tmp_path_factory.mktemp('tiny') / 'model')}"


@pytest.fixture(scope="session")
def circle(tmp_path_factory, language_model):
    root = tmp_path_factory.mktemp("circle")
    settings = {**SMALL, "RAPPORT_LANGUAGE_MODEL": language_model}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    made = Circle(root)
    keep_secret(Home(made.home))
    (block,) = shell_blocks(starting="rapport simulate")
    ran = made.shell(block)
    assert ran.returncode == 0, ran.stderr
    yield made
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
