"""Further releases of a home, each another policy's, for tests of swaps."""

import shutil
from dataclasses import replace
from pathlib import Path

from rapport.policy.policy import Policy
from rapport.release import CANDIDATES, Origin, current, publish
from rapport.release_manifest import MANIFEST

ORIGIN = Origin(code_version="test", lineage={}, salt=b"s" * 32, seeds={}, table_versions={})


def another(releases: Path, *, temperature: float, policy: bool = True) -> str:
    """Publish the serving release with another temperature, or without a policy; not promoted."""
    serving = current(releases)
    assert serving is not None
    folder = releases / CANDIDATES / "another"
    shutil.copytree(serving, folder)
    (folder / MANIFEST).unlink()
    if policy:
        found = Policy.load(folder / "policy")
        behaviour = replace(found.behaviour, temperature=temperature)
        replace(found, behaviour=behaviour).save(folder / "policy")
    else:
        shutil.rmtree(folder / "policy")
    return publish(folder, releases, origin=ORIGIN)


def flip_a_byte(release: Path, file: str = "policy/policy.safetensors") -> None:
    """Do what a bad disk does."""
    path = release / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
