"""`rapport config show`: every setting with its source, and what a settings file says to flags."""

import json

import pytest
from typer.testing import CliRunner

from jobs import (  # every job, whose configuration the command must know
    compact_lake,
    compute_rewards,
    embed_users,
    evaluate_release,
    ingest_logs,
    label_arms,
    promote_release,
    propose_nudges,
    relay_outbox,
    segment_personas,
    train_adapters,
    train_policy,
    train_scorers,
)
from rapport.cli.app import app
from rapport.cli.settings import job_configs

STORE = "postgresql+psycopg://ann:hidden-word@h/n"
FILE = f"""
home = "there"
store = "{STORE}"
tenant = "shop"
[train_policy]
trials = 9
[serve]
explore = 0.1
"""
MODULES = (
    compact_lake, compute_rewards, embed_users, evaluate_release, ingest_logs, label_arms,
    promote_release, propose_nudges, relay_outbox, segment_personas, train_adapters, train_policy,
    train_scorers,
)  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rapport.toml").write_text(FILE)
    return tmp_path


def shown(*words):
    ran = CliRunner().invoke(app, ["config", "show", "--json", *words])
    assert ran.exit_code == 0, ran.output
    assert "hidden-word" not in ran.output
    return {(row["for"], row["setting"]): row for row in json.loads(ran.stdout)["settings"]}


def test_each_setting_is_told_with_where_it_comes_from(here, monkeypatch):
    monkeypatch.setenv("RAPPORT_SEED", "5")
    found = shown("--home", "elsewhere")

    def told(of, name):
        return found[of, name]["value"], found[of, name]["from"]

    assert told("everywhere", "home") == ("elsewhere", "flag")
    assert told("everywhere", "tenant") == ("shop", "rapport.toml")
    assert told("everywhere", "store")[0] == "postgresql+psycopg://ann:***@h/n"
    assert told("everywhere", "seed") == (5, "RAPPORT_SEED")
    assert told("everywhere", "encoder")[1] == "default"
    assert told("train_policy", "trials") == (9, "rapport.toml: train_policy")
    assert told("train_adapters", "shared_tokens")[1] == "shipped train_adapters.yaml"
    assert told("serve", "explore") == (0.1, "rapport.toml: serve")
    assert told("serve", "home") == ("elsewhere", "flag")


def test_a_named_file_is_shown_in_place_of_rapport_toml(here):
    (here / "b.yaml").write_text("tenant: other\n")
    row = shown("--config", "b.yaml")["everywhere", "tenant"]
    assert row["value"] == "other"
    assert row["from"].endswith("b.yaml")


def test_people_see_a_table_without_passwords(here):
    ran = CliRunner().invoke(app, ["config", "show"])
    assert ran.exit_code == 0
    assert "hidden-word" not in ran.output
    assert "train_policy" in ran.output


def test_the_home_of_the_file_is_every_commands(here):
    (here / "rapport.toml").write_text('home = "there"\n')
    assert CliRunner().invoke(app, ["keys", "create"]).exit_code == 0
    assert (here / "there/store.db").exists()
    flag = ["keys", "create", "--home", "mine"]
    assert CliRunner().invoke(app, flag, env={"RAPPORT_HOME": "yours"}).exit_code == 0
    assert (here / "mine/store.db").exists()
    assert CliRunner().invoke(app, flag[:2], env={"RAPPORT_HOME": "yours"}).exit_code == 0
    assert (here / "yours/store.db").exists()


def test_a_wrong_file_is_one_message_and_help_works_all_the_same(here):
    (here / "rapport.toml").write_text("tennant = 1\n")
    ran = CliRunner().invoke(app, ["release", "list"])
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
    assert "did you mean tenant" in ran.stderr
    assert CliRunner().invoke(app, ["release", "--help"]).exit_code == 0


def test_every_jobs_configuration_is_the_one_that_is_shown():
    own = {module.__name__.rpartition(".")[2]: module.JOB.config for module in MODULES}
    assert own == job_configs()
