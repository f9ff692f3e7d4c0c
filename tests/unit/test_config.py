import pytest

from rapport.cli.settings import job_configs
from rapport.cli.stages import JOBS
from rapport.config import SECTIONS, SETTINGS, Config, JobConfig, resolve
from rapport.errors import ConfigError
from rapport.pipeline.settings import EmbedConfig, TrainPolicyConfig
from rapport.provenance import masked
from serve.settings import AppConfig


class Inner(Config):
    depth: int = 1


class Outer(Config):
    inner: Inner = Inner()
    seed: int = 0


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path, monkeypatch):
    file = tmp_path / "a.yaml"
    file.write_text("seed: 1\ninner: {depth: 5}\n")
    assert resolve(Outer, file=file).seed == 1
    monkeypatch.setenv("RAPPORT_SEED", "2")
    assert resolve(Outer, file=file).seed == 2
    assert resolve(Outer, file=file, flags={"seed": 3}).seed == 3
    assert resolve(Outer, file=file, flags={"seed": None}).inner.depth == 5


def test_dotted_sets_reach_inner_settings():
    assert resolve(Outer, sets=["inner.depth=7"]).inner.depth == 7


@pytest.mark.parametrize(
    ("sets", "setting"),
    [(["inner.depth=deep"], "inner.depth"), (["sed=1"], "sed"), (["seed"], "--set")],
)
def test_a_wrong_setting_is_named_with_its_value(sets, setting):
    with pytest.raises(ConfigError) as caught:
        resolve(Outer, sets=sets)
    assert caught.value.setting == setting


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve(JobConfig, file=tmp_path / "none.yaml")


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """Write rapport.toml where the test then runs."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="rapport.toml"):
        (tmp_path / name).write_text(text)

    return write


def test_rapport_toml_lies_between_what_ships_and_the_environment(tmp_path, in_folder, monkeypatch):
    shipped = tmp_path / "shipped.yaml"
    shipped.write_text("trials: 1\nseed: 1\ntenant: a\n")
    in_folder("seed = 2\n[train_policy]\ntrials = 5\n[embed_users]\nactors = 7\n")
    asked = {"defaults": shipped, "section": "train_policy"}
    found = resolve(TrainPolicyConfig, **asked)
    assert (found.trials, found.seed, found.tenant) == (5, 2, "a")
    assert resolve(TrainPolicyConfig).trials == 6
    monkeypatch.setenv("RAPPORT_TRIALS", "8")
    assert resolve(TrainPolicyConfig, **asked).trials == 8
    assert resolve(TrainPolicyConfig, **asked, sets=["trials=9"], flags={"seed": 3}).trials == 9


def test_a_table_of_rapport_toml_beats_its_top_level_for_that_job_alone(in_folder):
    in_folder("tenant = 'a'\n[embed_users]\ntenant = 'b'\n")
    assert resolve(JobConfig).tenant == "a"
    assert resolve(JobConfig, section="embed_users").tenant == "b"
    assert resolve(JobConfig, section="compact_lake").tenant == "a"


def test_a_named_file_stands_in_place_of_rapport_toml(tmp_path, in_folder, monkeypatch):
    in_folder("seed = 2\ntenant = 'a'\n")
    in_folder("seed = 4\n", name="other.toml")
    monkeypatch.setenv("RAPPORT_CONFIG", str(tmp_path / "other.toml"))
    assert (resolve(JobConfig).seed, resolve(JobConfig).tenant) == (4, "default")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tennant = 'a'", "did you mean tenant"),
        ("[train_polcy]\ntrials = 3", "did you mean train_policy"),
        ("offline = true", "no setting of rapport.toml"),
        ("seed = 'many'", "comes from rapport.toml"),
        ("[embed_users]\nactor = 1", "did you mean actors"),
        ("embed_users = 1", "a table of settings"),
        ("seed = [", "cannot be read"),
    ],
)
def test_what_rapport_toml_says_wrong_is_named_with_the_file(in_folder, text, told):
    in_folder(text)
    with pytest.raises(ConfigError, match=told) as caught:
        resolve(EmbedConfig, section="embed_users")
    assert "rapport.toml" in str(caught.value)


def test_a_misspelt_variable_is_refused_and_a_foreign_one_passes(monkeypatch):
    monkeypatch.setenv("RAPPORT_KEY", "somebody's own")
    assert resolve(JobConfig).seed == 0
    monkeypatch.setenv("RAPPORT_STOER", "postgresql+psycopg://ann:hidden@h/n")
    with pytest.raises(ConfigError, match="did you mean RAPPORT_STORE") as caught:
        resolve(JobConfig)
    assert "hidden" not in str(caught.value)


def test_every_setting_of_every_configuration_is_known():
    types: list[type[Config]] = [*job_configs().values(), AppConfig]
    names = {name for config_type in types for name in config_type.model_fields}
    assert names | {"cache", "config", "offline"} == SETTINGS
    assert {"serve", *JOBS} == SECTIONS


def test_passwords_and_keys_in_addresses_are_masked():
    assert masked("postgresql+psycopg://ann:hidden@h:5/n") == "postgresql+psycopg://ann:***@h:5/n"
    assert masked("s3://b/f?access_key=hidden&region=x") == "s3://b/f?access_key=***&region=x"
    assert masked("http://h/v1") == "http://h/v1"


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(ConfigError, match="did you mean tenant"):
        resolve(JobConfig, sets=["tennant=a"])
    with pytest.raises(ConfigError, match="lake has no such setting"):
        resolve(JobConfig, sets=["lake.url=a"])
