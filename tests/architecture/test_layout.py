"""The house itself: what lies where, and what may be imported from where."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    "pyproject.toml", "cluster.yaml", "README.md", "LICENSE", "platform", "jobs", "serve", "tests",
}  # fmt: skip
TORCH_ONLY = ("rapport.language", "rapport.models", "rapport.text", "rapport.arms")
NAMED_FOR_NOTHING = {
    "utils.py",
    "util.py",
    "helpers.py",
    "helper.py",
    "common.py",
    "base.py",
    "misc.py",
}


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
    )  # fmt: skip


def test_top_level_holds_only_the_agreed_names():
    names = {path.parts[0] for path in tracked_files()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_platform_holds_rapport_only_and_is_no_package():
    inside = {path.parts[1] for path in tracked_files() if path.parts[0] == "platform"}
    assert inside == {"rapport"}
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_standard_library_platform_module_is_not_shadowed():
    ran = run_python("import platform; print(platform.system())")
    assert ran.returncode == 0, ran.stderr


def test_no_file_is_named_for_nothing():
    assert not [path for path in tracked_files() if path.name in NAMED_FOR_NOTHING]


def test_only_the_cluster_room_imports_ray():
    rooms = [
        path for path in (ROOT / "platform/rapport").rglob("*.py") if "cluster" not in path.parts
    ]
    guilty = {
        path.relative_to(ROOT).as_posix()
        for path in rooms
        if any(name.split(".")[0] == "ray" for name in imported_modules(path))
    }
    assert not guilty


def test_jobs_serve_and_cli_never_import_each_other():
    rooms = {
        "jobs": ROOT / "jobs",
        "serve": ROOT / "serve",
        "rapport.cli": ROOT / "platform/rapport/cli",
    }
    aliases = {"jobs": "rapport_jobs", "serve": "rapport_serve"}
    for room, folder in rooms.items():
        others = [name for name in rooms if name != room]
        banned = tuple(others + [aliases[name] for name in others if name in aliases])
        for path in folder.rglob("*.py"):
            names = imported_modules(path)
            assert not [
                n for n in names if n in banned or n.startswith(tuple(f"{b}." for b in banned))
            ], path


def test_configuration_imports_without_torch_or_ray():
    code = "import sys, rapport.config, rapport.errors; print({'torch', 'ray'} & set(sys.modules))"
    ran = run_python(code)
    assert ran.stdout.strip() == "set()", ran.stdout + ran.stderr


@pytest.mark.parametrize("module", TORCH_ONLY)
def test_the_engine_and_its_training_loop_import_on_a_bare_gpu_machine(module):
    code = f"""
import importlib, pkgutil, sys
for name in ("ray", "polars", "duckdb", "deltalake", "pyarrow", "sqlalchemy"):
    sys.modules[name] = None
found = importlib.import_module({module!r})
for info in pkgutil.iter_modules(getattr(found, "__path__", [])):
    importlib.import_module({module!r} + "." + info.name)
"""
    ran = run_python(code)
    assert ran.returncode == 0, ran.stderr
