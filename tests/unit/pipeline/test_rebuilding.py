import shlex

import pytest

from rapport.config import JobConfig
from rapport.errors import DataError
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.rebuilding import rebuild_commands
from rapport.pipeline.records import MADE_BY, keep_record, records_of
from rapport.release import Origin, promote, publish, read_manifest
from rapport.testing import tiny_encoder, tiny_language_model
from rapport.testing.rows import a_turn


class SearchConfig(JobConfig):
    """Settings of a job that searches."""

    search: bool = True
    candidate: str | None = None


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    encoder, language = tiny_encoder(root / "encoder"), tiny_language_model(root / "language")
    return {"encoder": f"file:{encoder}", "language_model": f"file:{language}"}


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    Lake(home.lake).append("turns", [a_turn()], writer="test")
    return home


def recorded(home, models, **settings):
    lake = Lake(home.lake)
    for job in MADE_BY:
        config = SearchConfig(home=home.root, **models, **settings)
        found = {"settings": {"learner": "marwil"}} if job == "train_policy" else None
        keep_record(home, lake, job, config, found)


def a_release(home, *, content="{}", parents=()):
    folder = home.releases / ".candidates" / "x"
    folder.mkdir(parents=True)
    (folder / "reward.json").write_text(content)
    origin = Origin("0.1.0", {}, home.secret(), parents=parents, jobs=records_of(home))
    release_id = publish(folder, home.releases, origin=origin)
    promote(home.releases, release_id)
    return read_manifest(home.releases / release_id)


def test_a_record_holds_settings_versions_and_hashes_but_no_place(home, models):
    recorded(home, models, seed=7)
    record = records_of(home)["train_policy"]
    assert list(records_of(home)) == list(MADE_BY)
    assert record.settings["seed"] == 7
    assert "home" not in record.settings
    assert record.table_versions["turns"] == Lake(home.lake).version("turns")
    assert record.table_versions["decisions"] == -1
    assert all("@" in name for name in record.models.values())


def test_every_job_is_printed_with_its_settings_and_the_versions_it_read(home, models, tmp_path):
    recorded(home, models, seed=7, candidate="abc")
    lines = rebuild_commands(home, a_release(home), into=tmp_path / "new home")
    words = [shlex.split(line) for line in lines]
    assert [w[2] for w in words] == [*MADE_BY, "promote_release"]
    for line in words:
        assert line[3:5] == ["--home", str(tmp_path / "new home")]
    policy = words[MADE_BY.index("train_policy")]
    assert "seed=7" in policy
    assert 'recipe={"settings": {"learner": "marwil"}}' in policy
    assert "candidate=null" in policy
    (lake,) = (w for w in policy if w.startswith("lake="))
    assert f'"base": "{home.lake}"' in lake
    assert '"turns": 1' in lake


def test_what_a_release_was_made_from_is_put_back_first(home, models, tmp_path):
    recorded(home, models)
    first = a_release(home)
    second = a_release(home, content="{ }", parents=[first.release_id])
    (home.root / "models").mkdir()
    lines = rebuild_commands(home, second, into=tmp_path / "new")
    assert any(line.startswith("cp -r") and line.endswith("/new/") for line in lines)
    assert f"cp -r {home.releases / first.release_id} {tmp_path}/new/releases/" in lines
    assert f"rapport release promote {first.release_id} --home {tmp_path / 'new'}" in lines


def test_a_release_without_records_or_with_lost_versions_says_so(home, models, tmp_path):
    with pytest.raises(DataError, match="no record of embed_users"):
        rebuild_commands(home, a_release(home), into=tmp_path / "new")
    recorded(home, models)
    manifest = a_release(home, content="{ }")
    Lake(home.lake).erase([a_turn()["user_id"]])
    with pytest.raises(DataError, match="version 1 of turns is not in"):
        rebuild_commands(home, manifest, into=tmp_path / "new")
