from dataclasses import replace

import numpy as np

from rapport.pipeline.verdicts import evidence_of, published
from rapport.policy.policy import uniform_policy
from rapport.users.split import part_of
from tests.unit.pipeline.candidates import LAYOUT, a_policy
from tests.unit.policy.worlds import a_world


def a_log_with_control():
    data, _ = a_world(n=1200, users=120)
    control = np.arange(1200) < 60
    return replace(
        data,
        control=control,
        usable=~control,
        groups={
            "channel": np.where(np.arange(1200) % 2, "app", ""),
            "age_band": np.full(1200, "adult"),
        },
    )


def test_the_evidence_is_of_gate_users_alone_and_holds_all_of_control_silence_included():
    data = a_log_with_control()
    found = evidence_of(data, seed=0)
    assert {part_of(user) for user in found.log.user} == {"gate"}
    assert found.control is not None
    assert len(found.control) == 60
    assert np.isnan(found.control.reward).any()
    assert found.q_hat.shape == (len(found.log), len(data.layout.arms))


def test_groups_are_those_that_tell_users_apart():
    found = evidence_of(a_log_with_control(), seed=0)
    # One agent and one age band: nothing to compare.
    assert set(found.groups) == {"persona", "channel"}
    assert {name for name in found.members if name.startswith("channel")} == {"channel/app"}


def test_vectors_of_estimated_propensities_are_not_relied_on():
    data = a_log_with_control()
    estimated = np.arange(len(data.part("gate"))) % 2 == 0
    log = evidence_of(data, seed=0, estimated=estimated).log
    assert log.probabilities is not None
    assert np.isnan(log.probabilities).all(axis=1).tolist() == estimated.tolist()


def test_what_would_be_published_follows_the_incumbent_for_kept_personas_only():
    policy = a_policy(temperature=0.5)
    assert published(policy, None, kept=()).id == policy.id
    held = published(policy, None, kept=("persona/dry-01", "channel/app"))
    assert held.withheld == ("dry-01",)
    assert held.incumbent is not None
    assert held.incumbent.id == uniform_policy(LAYOUT).id
