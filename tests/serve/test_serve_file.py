import pytest
import yaml

from rapport.errors import ConfigError
from serve.serve_file import checked, read_serve_file
from serve.settings import AppConfig

FILE = """
http_options: {host: 127.0.0.1, port: 0}
applications:
  - args:
      topology: spread
      gateway: {autoscaling_config: {max_replicas: 1}}
      persona_model: {autoscaling_config: {max_replicas: 3}}
    deployments:
      - {name: Gateway, user_config: {explore: 0.1}}
      - {name: PersonaModel, autoscaling_config: {min_replicas: 2}}
"""


DEFAULTS = ("connect_s", "read_s", "retries", "connections", "price_in", "price_out")


def a_file(**application):
    loaded = yaml.safe_load(FILE)
    loaded["applications"][0].update(application)
    return loaded


def test_a_deployment_changes_only_what_it_names():
    file = checked(a_file())
    scaling = file.application.resolved().persona_model.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 3)
    assert scaling.target_ongoing_requests == 6


def test_what_is_deployed_names_every_option_so_that_ray_fills_in_none():
    (application,) = checked(a_file()).deployed(import_path="x:build")["applications"]
    nodes = {node["name"]: node for node in application["deployments"]}
    assert set(nodes) == {"Gateway", "Reader", "PersonaModel"}
    assert nodes["Gateway"]["user_config"] == {"explore": 0.1, "poll_s": 5.0}
    assert nodes["PersonaModel"]["autoscaling_config"]["downscale_delay_s"] == 60


def test_with_an_upstream_there_is_no_persona_model_and_no_key_in_what_is_deployed():
    upstream = {"url": "https://host/v1", "model": "m", "key_env": "THEIR_KEY"}
    file = checked(a_file(args={"upstream": upstream}, deployments=[]))
    (application,) = file.deployed(import_path="x:build")["applications"]
    assert [node["name"] for node in application["deployments"]] == ["Gateway"]
    assert application["args"]["upstream"] == upstream | {
        name: value for name, value in application["args"]["upstream"].items() if name in DEFAULTS
    }
    with pytest.raises(ConfigError, match="no deployment PersonaModel"):
        checked(a_file(args={"upstream": upstream}, deployments=[{"name": "PersonaModel"}]))


def test_only_the_live_part_changes_what_is_deployed_for_the_gateway():
    before = checked(a_file()).deployed(import_path="x:build")
    changed = [{"name": "Gateway", "user_config": {"poll_s": 1.0}}]
    after = checked(a_file(deployments=changed)).deployed(import_path="x:build")
    assert before["applications"][0]["args"] == after["applications"][0]["args"]


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"bogus": 1}, "applications.0.bogus"),
        ({"args": {"topologie": "fused"}}, "applications.0.args.topologie"),
        ({"args": {"topology": "spred"}}, "applications.0.args.topology"),
        ({"args": {"reader": {"max_replicas": 2}}}, "applications.0.args.reader.max_replicas"),
        ({"deployments": [{"name": "Router"}]}, "applications.0.deployments.0"),
        (
            {"deployments": [{"name": "Gateway", "user_config": {"expore": 0.1}}]},
            "applications.0.deployments.0.Gateway.user_config.expore",
        ),
        (
            {"deployments": [{"name": "Reader", "autoscaling_config": {"max": 2}}]},
            "applications.0.deployments.0.Reader.autoscaling_config.max",
        ),
        ({"args": {}, "deployments": [{"name": "Reader"}]}, "applications.0"),
        ({"deployments": [{"name": "Gateway"}, {"name": "Gateway"}]}, "applications.0"),
        ({"import_path": "os:system"}, "applications.0.import_path"),
    ],
)
def test_a_slip_in_the_file_is_refused_naming_the_key(change, setting):
    with pytest.raises(ConfigError) as caught:
        checked(a_file(**change))
    assert caught.value.setting == setting


def test_an_unknown_key_at_the_top_of_a_file_is_refused(tmp_path):
    path = tmp_path / "serve.yaml"
    path.write_text("http_option: {port: 1}\n")
    with pytest.raises(ConfigError, match="http_option"):
        read_serve_file(path)


@pytest.mark.parametrize("where", ["args", "deployments"])
def test_two_gateways_on_sqlite_are_refused_with_the_remedy(where):
    two = {"autoscaling_config": {"max_replicas": 2}}
    args = {"gateway": two} if where == "args" else {}
    deployments = [{"name": "Gateway", **two}] if where == "deployments" else []
    with pytest.raises(ConfigError, match="postgresql"):
        checked(a_file(args=args, deployments=deployments))


def test_two_gateways_on_postgresql_are_taken():
    two = {"autoscaling_config": {"min_replicas": 2, "max_replicas": 2}}
    store = "postgresql+psycopg://rapport@localhost/rapport"
    AppConfig.model_validate({"gateway": two, "store": store}).check_gateways()


def test_flags_win_over_the_environment_and_that_over_the_file(monkeypatch):
    monkeypatch.setenv("RAPPORT_THREADS", "3")
    monkeypatch.setenv("RAPPORT_EXPLORE", "0.2")
    args = checked(a_file()).with_flags(explore=0.3, home=None).application.args
    assert (args.threads, args.explore, args.topology) == (3, 0.3, "spread")
    assert args.persona_model.autoscaling_config.max_replicas == 3
