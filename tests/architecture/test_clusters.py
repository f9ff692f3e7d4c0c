"""The files that make clusters: what Ray's own readers take, and what they all must agree on."""

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from rapport import __version__
from rapport.errors import ConfigError
from serve.serve_file import checked

ROOT = Path(__file__).parents[2]
IMAGE = f"registry.example.com/rapport:{__version__}"
AT_IMPORT = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
"""What every process of every node must find in its environment before it imports Ray."""
POSTGRES = "postgresql+psycopg://rapport@postgres/rapport"
SPECS = {
    "RayCluster": {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions",
                   "headGroupSpec", "workerGroupSpecs"},
    "RayJob": {"entrypoint", "clusterSelector", "backoffLimit", "submissionMode"},
    "RayService": {"upgradeStrategy", "serveConfigV2", "rayClusterConfig"},
}  # fmt: skip
"""Keys of each kind's specification that the files use; the API server prunes what it lacks."""


def loaded(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def manifests() -> list[dict[str, Any]]:
    return [*loaded("jobs/kuberay.yaml"), *loaded("serve/kuberay.yaml")]


def clusters() -> list[dict[str, Any]]:
    """Specifications of the Ray clusters in the manifests."""
    found = {one["kind"]: one["spec"] for one in manifests()}
    return [found["RayCluster"], found["RayService"]["rayClusterConfig"]]


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_cluster_file_is_one_that_ray_up_takes():
    (cluster,) = loaded("cluster.yaml")
    validate_config(prepare_config(cluster))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"bogus": 1}, jsonschema.ValidationError),
        ({"max_workers": "four"}, jsonschema.ValidationError),
        ({"head_node_type": "nobody"}, ValueError),
    ],
)
def test_ray_refuses_a_cluster_file_with_a_slip(change, refusal):
    (cluster,) = loaded("cluster.yaml")
    with pytest.raises(refusal):
        validate_config(prepare_config(cluster | change))


def test_the_cluster_has_a_head_and_groups_of_both_kinds_that_go_when_idle():
    (cluster,) = loaded("cluster.yaml")
    kinds = cluster["available_node_types"]
    assert kinds["head"]["resources"] == {"CPU": 0}
    assert set(kinds["cpu"]["resources"]) == {"CPU"}
    assert kinds["gpu"]["resources"]["GPU"] == 1
    assert all(kinds[group]["min_workers"] == 0 < kinds[group]["max_workers"]
               for group in ("cpu", "gpu"))  # fmt: skip
    assert sum(kinds[group]["max_workers"] for group in ("cpu", "gpu")) <= cluster["max_workers"]
    assert cluster["idle_timeout_minutes"] > 0


def test_every_node_of_the_launcher_is_behind_a_token_and_has_what_ray_reads_at_import():
    (cluster,) = loaded("cluster.yaml")
    options = " ".join(cluster["docker"]["run_options"])
    given = dict(re.findall(r"--env (\w+)=(\S+)", options))
    assert given["RAY_AUTH_MODE"] == "token"
    assert given["RAY_AUTH_TOKEN_PATH"] in cluster["file_mounts"]
    assert given.items() >= AT_IMPORT.items()
    assert "RAY_AUTH_TOKEN=" not in (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    starts = cluster["head_start_ray_commands"][-1]
    assert "--dashboard-host=127.0.0.1" in starts


def test_the_launcher_the_manifests_and_the_image_agree():
    (cluster,) = loaded("cluster.yaml")
    assert cluster["docker"]["image"] == IMAGE
    gpu = cluster["available_node_types"]["gpu"]["docker"]["worker_image"]
    assert gpu == f"{IMAGE}-gpu"
    for one in clusters():
        assert one["rayVersion"] == ray.__version__
        images = {pod["containers"][0]["image"] for pod in pods(one)}
        assert images <= {IMAGE, gpu}
    recipe = (ROOT / "jobs/Containerfile").read_text(encoding="utf-8")
    assert f"-t {IMAGE} ." in recipe
    assert f"ARG RAY={ray.__version__}-py311" in recipe


def test_the_image_is_made_of_pinned_parts_and_of_files_that_exist():
    recipe = (ROOT / "jobs/Containerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^FROM (\S+)$", recipe, flags=re.M)
    assert base == "docker.io/rayproject/ray:${RAY}"
    assert "torch==2.13.0" in recipe
    assert '"torch==2.13.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY --chown=\S+ (.+) \S+$", recipe, flags=re.M)
    assert copied
    assert all((ROOT / name).exists() for line in copied for name in line.split())


def test_the_manifests_use_no_key_that_their_kind_lacks():
    kinds = {one["kind"]: one for one in manifests()}
    for kind, keys in SPECS.items():
        assert kinds[kind]["apiVersion"] == "ray.io/v1"
        assert set(kinds[kind]["spec"]) <= keys, kind
    for cluster in clusters():
        assert set(cluster) <= SPECS["RayCluster"]


@pytest.mark.parametrize("place", [0, 1], ids=["batch", "serve"])
def test_every_pod_is_behind_a_token_shares_the_home_and_scales(place):
    cluster = clusters()[place]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["autoscalerOptions"]["idleTimeoutSeconds"] > 0
    for pod in pods(cluster):
        container = pod["containers"][0]
        given = {e["name"]: e.get("value") for e in container["env"]}
        assert given.items() >= AT_IMPORT.items()
        assert container["volumeMounts"] == [{"name": "home", "mountPath": "/mnt/rapport"}]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "rapport-home"


def test_the_job_runs_on_the_cluster_beside_it():
    kinds = {one["kind"]: one for one in loaded("jobs/kuberay.yaml")}
    chosen = kinds["RayJob"]["spec"]["clusterSelector"]["ray.io/cluster"]
    assert chosen == kinds["RayCluster"]["metadata"]["name"]
    assert kinds["PersistentVolumeClaim"]["metadata"]["name"] == "rapport-home"


def test_the_service_carries_a_configuration_that_serve_deploys():
    (service,) = loaded("serve/kuberay.yaml")
    carried = yaml.safe_load(service["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(carried)
    # Ray's schema passes unknown keys over; ours does not.
    with pytest.raises(ConfigError, match="SQLite takes one gateway"):
        checked(carried)
    args = carried["applications"][0]["args"]
    file = checked(carried | {"applications": [{"args": args | {"store": POSTGRES}}]})
    gateway = file.application.resolved().gateway
    assert gateway.autoscaling_config.min_replicas >= 2
    assert gateway.max_replicas_per_node == 1


def test_the_store_of_several_gateways_comes_from_a_secret():
    (service,) = loaded("serve/kuberay.yaml")
    for pod in pods(service["spec"]["rayClusterConfig"]):
        given = {one["name"]: one for one in pod["containers"][0]["env"]}
        assert given["RAPPORT_STORE"]["valueFrom"]["secretKeyRef"]["key"] == "url"
