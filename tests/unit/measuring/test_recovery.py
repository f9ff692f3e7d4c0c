import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.errors import ConfigError, DataError, TooLittleDataError
from rapport.measuring.people import People
from rapport.measuring.recovery import _groups, _metrics, _refits, _stability, measure_personas
from rapport.personas.fit import fit
from rapport.simulation.logs import generate, write
from rapport.simulation.settings import SimulationConfig
from rapport.text import load_encoder
from rapport.users.encoder import UserParts
from rapport.users.features import FEATURES
from tests.unit.measuring.shape import assert_shaped
from tests.unit.personas.populations import a_population


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Too small to find anything in; for what the command says."""
    folder = tmp_path_factory.mktemp("simulated") / "log"
    write(generate(SimulationConfig(users=44, turns=3, seed=1)), folder)
    return folder


def people(population):
    users = len(population.persona)
    features = np.zeros((users, len(FEATURES)), np.float32)
    parts = UserParts(population.means.astype(np.float32), features, population.sizes)
    names = [f"u{i:03d}" for i in range(users)]
    return People(names, parts, population.vectors, population.users, population.conversations)


def test_known_groups_are_found_and_found_again_and_topics_are_not():
    population = a_population(users=120)
    known = people(population)
    model = known.fitted(np.ones(120, bool), seed=0)
    topics = np.array(["work", "home", "health", "money", "love"])[population.topic]
    truth = pl.DataFrame({"persona": population.persona, "topic": topics})
    found = _metrics(known.assigned(model), truth, _refits(known, 2))
    assert found["adjusted_rand_index"].estimate > 0.9
    assert found["stability"].estimate > 0.8
    assert abs(found["topic_adjusted_rand_index"].estimate) < 0.1
    for each in found.values():
        assert each.n == 120
        assert each.low is not None
        assert each.high is not None
        assert each.low <= each.estimate <= each.high


def test_the_command_says_that_it_fitted_and_makes_no_home(log, tmp_path):
    home = tmp_path / "home"
    words = ["evaluate", "personas", "--data", str(log), "--home", str(home), "--json"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    assert not home.exists()
    told = json.loads(ran.stdout)
    assert_shaped(told, task="personas")
    assert (told["n"], told["release"]) == (44, None)
    assert told["notes"][0].startswith("no release: personas were fitted on this folder")


def test_purity_by_hand():
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 3)
    model = fit(generator.normal(size=(120, 8)).astype(np.float32), users, seed=0, k=2)
    groups = _groups(model, np.array([0, 0, 0, 1]), np.array([2, 2, 1, 0]))
    purities = [group.metrics["purity"] for group in groups.values()]
    assert [found.estimate for found in purities] == [pytest.approx(2 / 3), 1.0]
    assert [found.n for found in purities] == [3, 1]


def test_stability_is_the_mean_over_refits():
    found = np.array([0, 0, 1, 1] * 10)
    weight = np.ones((3, 40))
    same = _stability(found, [found, 1 - found], weight)
    assert (same.estimate, same.low, same.high) == (1.0, 1.0, 1.0)
    half = _stability(found, [found, np.zeros(40, int)], weight)
    assert half.estimate == pytest.approx(0.5)


def test_one_persona_each_time_has_no_interval():
    nothing = np.zeros(40, int)
    assert _stability(nothing, [nothing], np.ones((3, 40))).low is None


def test_too_few_users_are_told(log):
    with pytest.raises(TooLittleDataError, match="20 rows, at least 40"):
        measure_personas(log, load_encoder(), limit=20)


def test_a_folder_without_a_log_or_truth_is_told(tmp_path, log):
    with pytest.raises(ConfigError, match="--data"):
        measure_personas(tmp_path / "none", load_encoder())
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in log.glob("*.*"):
        (bare / file.name).write_bytes(file.read_bytes())
    for folder in (tmp_path, bare):
        with pytest.raises(ConfigError, match="no simulated log with its truth"):
            measure_personas(folder, load_encoder())
    (bare / "truth").mkdir()
    (bare / "truth" / "users.parquet").write_text("cut short")
    with pytest.raises(DataError, match="not a simulated log"):
        measure_personas(bare, load_encoder())


def test_an_unknown_release_is_told(log, tmp_path):
    words = ["--data", str(log), "--release", "no-such-1", "--home", str(tmp_path)]
    ran = CliRunner().invoke(app, ["evaluate", "personas", *words])
    assert ran.exit_code == 2
    assert "no release is called 'no-such-1'" in ran.stderr
