"""The builder: both topologies, run without a cluster in Ray's local mode."""

import pytest
from ray import serve

from rapport.errors import ConfigError
from serve.app import AppConfig, build

TWO = {"autoscaling_config": {"max_replicas": 2}}


@pytest.mark.parametrize("topology", ["fused", "spread"])
def test_a_built_graph_joins_its_nodes_takes_what_is_live_and_drains(promoted_home, topology):
    args = AppConfig(
        home=promoted_home,
        topology=topology,
        language_model=f"file:{promoted_home}/language",
        encoder=f"file:{promoted_home}/encoder",
    )
    handle = serve.run(build(args), name="rapport", _local_testing_mode=True)
    handle.reconfigure.remote({"explore": 0.25, "poll_s": 1.0}).result(timeout_s=30)
    assert handle.drain.remote().result(timeout_s=30) == 0


def test_a_live_setting_with_a_slip_is_refused(promoted_home):
    args = AppConfig(
        home=promoted_home,
        language_model=f"file:{promoted_home}/language",
        encoder=f"file:{promoted_home}/encoder",
    )
    handle = serve.run(build(args), name="rapport", _local_testing_mode=True)
    with pytest.raises(Exception, match="expore"):
        handle.reconfigure.remote({"expore": 0.25}).result(timeout_s=30)


def test_two_gateways_on_sqlite_are_not_built(promoted_home):
    args = AppConfig.model_validate({"home": promoted_home, "gateway": TWO})
    with pytest.raises(ConfigError, match="SQLite takes one gateway"):
        build(args)


@pytest.mark.parametrize(
    ("device", "taken", "reserved"),
    [("auto", 0, 0), ("cpu", 0, 0), ("cuda", 0, 1), ("cuda", 0.5, 0.5)],
)
def test_a_persona_model_on_a_gpu_reserves_one(device, taken, reserved):
    model = {"ray_actor_options": {"num_gpus": taken}}
    args = AppConfig.model_validate({"device": device, "persona_model": model})
    assert args.writer.ray_actor_options.num_gpus == reserved
