"""What an installation puts into somebody's environment, and that the demo needs nothing else."""

import subprocess
import zipfile

from tests.e2e.installed import ROOT, wheel

ROOMS = {"platform/rapport": "rapport", "jobs": "rapport_jobs", "serve": "rapport_serve"}
IMAGE = {"jobs/Containerfile"}
"""Files for whoever builds from a checkout."""


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
