"""What an installation puts into somebody's environment, and that the demo needs nothing else."""

import json
import subprocess
import zipfile

from tests.e2e.installed import ROOT, wheel

ROOMS = {"platform/rapport": "rapport", "jobs": "rapport_jobs", "serve": "rapport_serve"}
WEIGHTS = (".safetensors", ".npz", ".pt", ".bin", ".gguf", ".pkl")
IMAGE = {"jobs/Containerfile"}
"""Files for whoever builds from a checkout."""


PERMISSIVE = {"Apache-2.0", "CC BY 4.0"}


def test_the_wheel_carries_weights_of_permissive_data_alone(tmp_path):
    archive = zipfile.ZipFile(wheel(tmp_path))
    weights = {name for name in archive.namelist() if name.endswith(WEIGHTS)}
    told = [name for name in archive.namelist() if name.startswith("rapport/affect/")]
    facts = [json.loads(archive.read(name)) for name in told if name.endswith(".json")]
    assert {one["licence"] for one in facts} <= PERMISSIVE
    assert all(one["sources"] for one in facts)
    assert weights == {f"rapport/affect/{one['weights']}" for one in facts}
    assert sum(archive.getinfo(name).file_size for name in weights) <= 1_000_000


def test_the_wheel_adds_no_generic_name_and_lacks_no_file(tmp_path):
    names = set(zipfile.ZipFile(wheel(tmp_path)).namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(ROOMS.values())
    assert "rapport/store/migrations/v2_minds.py" in names
    listed = ["git", "ls-files", *ROOMS]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in set(files.split()) - IMAGE:
        room = next(room for room in ROOMS if file.startswith(f"{room}/"))
        assert file.replace(room, ROOMS[room], 1) in names
