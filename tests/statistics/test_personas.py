"""Hidden personas of simulated users are found again, and new users are named as they write."""

import sys

import pytest

from rapport.affect import load_scorer
from rapport.simulation import SimulatedLog, SimulationConfig, generate
from rapport.text import load_encoder
from rapport.users.embed import embed_turns
from tests.statistics.persona_recovery import persona_recovery, user_messages

SEEDS = (0, 1, 2, 3, 4)


def recovered(log: SimulatedLog, *, seed: int, fit_users: int, fit_turns: int):
    vectors = embed_turns(user_messages(log)["text"].to_list(), load_encoder())
    return persona_recovery(
        log,
        vectors,
        seed=seed,
        fit_users=fit_users,
        fit_turns=fit_turns,
        scorer=load_scorer().emotion,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_personas_of_1500_users_are_found_and_new_users_named(seed):
    log = generate(SimulationConfig(users=1800, turns=21, seed=seed))
    found = recovered(log, seed=seed, fit_users=1500, fit_turns=20)
    told = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
    sys.stdout.write(f"\npersonas of seed {seed}: {told}\n")
    assert found["ari"] >= 0.5
    assert found["ari"] > found["ari_topic"]
    assert found["ari"] > found["raw_ari"]
    # Four standard errors of a share of 300 users at a quarter.
    assert found["accuracy_0"] > found["majority_share"] + 4 * (0.25 * 0.75 / 300) ** 0.5
    assert found["accuracy_0"] < found["accuracy_5"] < found["accuracy_20"]


def test_personas_of_few_users_are_found_where_pooled_vectors_show_topics_alone():
    log = generate(SimulationConfig(users=260, turns=12, seed=0, leaning=0.25))
    found = recovered(log, seed=0, fit_users=220, fit_turns=12)
    assert found["ari"] >= 0.5
    assert abs(found["ari_topic"]) < 0.05
    assert abs(found["raw_ari"]) < 0.05
    assert found["raw_ari_topic"] > 0.2
    assert found["accuracy_0"] < found["accuracy_5"]
