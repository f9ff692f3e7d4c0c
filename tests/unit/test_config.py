import pytest

from rapport.config import Config, JobConfig, resolve
from rapport.errors import ConfigError


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


def test_a_toml_section_is_read(tmp_path):
    file = tmp_path / "rapport.toml"
    file.write_text("[demo]\nseed = 4\n")
    assert resolve(Outer, file=file, section="demo").seed == 4


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(ConfigError, match="did you mean tenant"):
        resolve(JobConfig, sets=["tennant=a"])
    with pytest.raises(ConfigError, match="lake has no such setting"):
        resolve(JobConfig, sets=["lake.url=a"])
