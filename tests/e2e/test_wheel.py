"""What an installation puts into somebody's environment."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_adds_no_generic_name(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", tmp_path, ROOT], check=True, timeout=300, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"rapport", "rapport_jobs", "rapport_serve"}
    assert "rapport/menus/emotional_support.yaml" in names
    assert "rapport_jobs/configs/train_policy.yaml" in names
    assert "rapport/store/migrations/v2_minds.py" in names
    assert any(name.endswith("affect.json") for name in names)
