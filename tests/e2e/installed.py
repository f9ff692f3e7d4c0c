"""Rapport installed from a wheel, outside the checkout, in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def wheel(folder: Path) -> Path:
    """Build the wheel into a folder."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "-w", folder, ROOT], check=True, timeout=300, capture_output=True, cwd=folder
    )
    (built,) = folder.glob("*.whl")
    return built


def installed(folder: Path) -> Path:
    """Folder of the programs of a fresh environment that holds the wheel.

    Its dependencies are this environment's: their folders are added behind its own, so that an
    editable installation there, which works by a `.pth` file, is out of reach.
    """
    built = wheel(folder)
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv/bin"
    purelib = folder / f"venv/lib/python{sysconfig.get_python_version()}/site-packages"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", str(built)], check=True, timeout=300, capture_output=True)
    folders = [path for path in sys.path if path.endswith("site-packages")]
    (purelib / "dependencies.pth").write_text("\n".join(folders) + "\n")
    where = "import rapport, rapport_jobs, rapport_serve; print(rapport.__file__)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    said = subprocess.run(
        [programs / "python", "-c", where],
        check=True, cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if not said.stdout.startswith(str(purelib)):
        pytest.fail(f"the checkout shines through: {said.stdout}")
    return programs
