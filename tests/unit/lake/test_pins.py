import pytest

from rapport.config import JobConfig, LakeConfig, resolve
from rapport.errors import ConfigError, DataError
from rapport.lake import Lake, lake_of
from rapport.lake.pins import Pins
from rapport.testing.rows import a_turn


@pytest.fixture
def base(tmp_path):
    """A lake whose `turns` got one row and then another."""
    lake = Lake(tmp_path / "base")
    for index in range(2):
        lake.append("turns", [a_turn(turn_index=index)], writer="test")
    return lake


def pinned(base, tmp_path, **versions):
    return Lake(tmp_path / "own", pins=Pins(base.root, versions))


def test_a_pinned_table_is_read_as_it_was_and_others_are_the_lakes_own(base, tmp_path):
    lake = pinned(base, tmp_path, turns=base.version("turns") - 1, feedback=-1)
    assert lake.scan("turns", purpose="train").collect().height == 1
    assert lake.version("turns") == base.version("turns") - 1
    assert lake.scan("feedback", purpose="train").collect().height == 0
    assert lake.version("decisions") == -1
    assert lake.sql("select count(*) n from turns").to_pylist() == [{"n": 1}]


def test_a_pinned_table_is_never_written(base, tmp_path):
    lake = pinned(base, tmp_path, turns=base.version("turns"))
    with pytest.raises(ConfigError, match="only read"):
        lake.append("turns", [a_turn(turn_index=7)], writer="test")
    assert base.scan("turns", purpose="train").collect().height == 2


def test_a_version_that_is_gone_is_named_with_what_to_do(base, tmp_path):
    with pytest.raises(DataError, match=r"version 99 of turns .* train from the lake as it is now"):
        pinned(base, tmp_path, turns=99).scan("turns", purpose="train")


def test_a_job_reads_through_the_pins_of_its_settings(base, tmp_path):
    sets = [f"lake.base={base.root}", f"lake.versions.turns={base.version('turns') - 1}"]
    config = resolve(JobConfig, sets=sets, flags={"home": tmp_path / "home"})
    assert config.lake == LakeConfig(base=base.root, versions={"turns": 1})
    assert lake_of(config).scan("turns", purpose="train").collect().height == 1
