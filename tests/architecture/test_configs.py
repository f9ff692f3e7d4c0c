"""Every shipped configuration file is one its reader accepts."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv
from ray.serve.schema import ServeDeploySchema

from rapport.config import JobConfig, resolve
from rapport.pipeline.job import Job
from rapport.pipeline.ports import PORTS
from rapport.pipeline.rehearsal import STEPS
from rapport.schema import SCHEMAS
from rapport.simulation import SimulationConfig
from serve.serve_file import read_serve_file

ROOT = Path(__file__).parents[2]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("[a-z]*.py"))


def job(name: str) -> Job[JobConfig]:
    found: Job[JobConfig] = importlib.import_module(f"jobs.{name}").JOB
    return found


def test_every_job_has_settings_and_smoke_settings_and_nobody_else():
    stems = {path.name.removesuffix(".yaml") for path in (ROOT / "jobs/configs").glob("*.yaml")}
    assert stems == {stem for name in JOBS for stem in (name, f"{name}.smoke")}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_takes_its_settings(name):
    config = resolve(job(name).config, file=ROOT / f"jobs/configs/{name}.yaml")
    assert config.budget_s
    assert config.smoke is None


@pytest.mark.parametrize("name", JOBS)
def test_a_smoke_run_prepares_only_steps_there_are_in_order(name):
    config = resolve(job(name).config, file=ROOT / f"jobs/configs/{name}.smoke.yaml")
    assert config.smoke is not None
    places = [list(STEPS).index(step) for step in config.smoke.prepare]
    assert places == sorted(places)
    SimulationConfig.model_validate(config.smoke.world)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_declares_tables_and_parts_that_there_are(name):
    declared = {*job(name).reads, *job(name).writes}
    assert job(name).reads
    assert job(name).writes
    assert declared <= {*SCHEMAS, *PORTS}


def test_a_job_that_has_nothing_to_do_loads_neither_torch_nor_ray():
    imports = "; ".join(f"import jobs.{name}" for name in JOBS)
    code = f"import sys; {imports}; print({{'torch', 'ray', 'transformers'}} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert ran.stdout.strip() == "set()", ran.stdout + ran.stderr


def test_the_runtime_environment_is_one_that_ray_takes():
    loaded = yaml.safe_load((ROOT / "jobs/runtime_env.yaml").read_text(encoding="utf-8"))
    RuntimeEnv(**loaded)


@pytest.mark.parametrize("name", ["config", "config.smoke"])
def test_a_serve_configuration_is_one_that_we_and_ray_take(name):
    file = read_serve_file(ROOT / f"serve/{name}.yaml")
    ServeDeploySchema.model_validate(file.deployed(import_path="serve.app:build"))


def test_the_cluster_file_is_one_that_ray_up_takes():
    loaded = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(loaded))
