"""Every shipped configuration file is one its reader accepts."""

import importlib
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from rapport.config import resolve
from serve.app import AppConfig

ROOT = Path(__file__).parents[2]
CONFIG_TYPES = {
    "embed_users": ("rapport.cluster.embedding", "EmbedConfig"),
    "label_arms": ("rapport.pipeline.labels", "LabelConfig"),
    "train_adapters": ("rapport.cluster.adapters", "AdaptersConfig"),
    "train_policy": ("rapport.cluster.policies", "TrainPolicyConfig"),
}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "jobs/configs").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_job_takes_its_configuration(path):
    module, name = CONFIG_TYPES[path.stem.partition(".")[0]]
    config = resolve(getattr(importlib.import_module(module), name), file=path)
    assert config.budget_s > 0


def test_the_serve_configuration_deploys_and_its_arguments_are_known():
    loaded = yaml.safe_load((ROOT / "serve/config.yaml").read_text(encoding="utf-8"))
    ServeDeploySchema.model_validate(loaded)
    AppConfig.model_validate(loaded["applications"][0]["args"])


def test_the_cluster_file_is_one_that_ray_up_takes():
    loaded = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(loaded))
