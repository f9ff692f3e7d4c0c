"""What a learned policy is truly worth, which only the simulator knows."""

import numpy as np
import pytest

from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings, Verdict
from rapport.policy.features import states
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import fit_reward_model
from tests.statistics.report import say
from tests.statistics.shares import plain, released
from tests.statistics.simulated_log import World, world


def true_values(found: World, policies: dict[str, Policy]) -> dict[str, float]:
    """True value of policies, the logging policy, control and the oracle on held-out users."""
    rows = np.flatnonzero((found.rows == "gate") & found.data.usable)
    held_out = found.data.rows(rows)
    values = {
        name: found.true_value(
            policy.decide(held_out.situation, mask=held_out.mask).probability, rows
        )
        for name, policy in policies.items()
    }
    best = np.where(held_out.mask, found.expected[rows], -np.inf).max(axis=1).mean()
    logging = found.true_value(held_out.probabilities, rows)
    return {**values, "logging": logging, "control": found.control, "oracle": float(best)}


def shown(seed: int, values: dict[str, float]) -> None:
    gain = (values["learned"] - values["logging"]) / (values["oracle"] - values["logging"])
    line = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    say(f"seed {seed}: {line}; {gain:.2f} of the oracle's gain")


def judged(seed: int, *, users: int) -> dict[str, float]:
    found = world(seed, users=users)
    policy = released(found.data)
    policies = {
        "learned": policy,
        "a = b = 1": plain(policy),
        "uniform": uniform_policy(policy.layout),
    }
    values = true_values(found, policies)
    shown(seed, values)
    return values


def test_a_learned_policy_beats_the_log_and_control_on_held_out_users():
    values = judged(1, users=500)
    assert values["learned"] > values["logging"]
    assert values["learned"] > values["control"]


def verdict_on(found: World, policy: Policy, rows: np.ndarray) -> Verdict:
    data = found.data.rows(rows)
    judge = fit_reward_model(found.data.part("train", "tune"), seed=1)
    evidence = Evidence(
        log=data.log(),
        q_hat=judge.q(data.states),
        arms=data.layout.arms,
        groups={"persona": data.persona},
        control=found.data.rows(found.data.control).log(),
    )
    target = policy.decide(data.situation, mask=data.mask).probability
    return gate(evidence, target, GateSettings(resamples=300))


def test_the_gate_promotes_what_is_truly_better_and_refuses_it_on_a_handful_of_users():
    found = world(1, users=500)
    policy = released(found.data)
    rows = np.flatnonzero((found.rows == "gate") & found.data.usable)
    few = rows[np.isin(found.data.user[rows], np.unique(found.data.user[rows])[:20])]
    whole, handful = verdict_on(found, policy, rows), verdict_on(found, policy, few)
    overall = {row.estimator: row for row in whole.rows if row.group == "overall"}
    say(f"{len(rows)} decisions: {'; '.join(whole.reasons) or 'promoted'}")
    say(f"{len(few)} decisions: {'; '.join(handful.reasons)}, {handful.needed_n} would do")
    assert overall["snips"].status == overall["dr"].status == "passed"
    assert not handful.promoted
    assert any("effective sample" in reason for reason in handful.reasons)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_it_does_so_in_every_world_and_sharpening_is_what_earns_it(seed):
    values = judged(seed, users=1500)
    gain = values["oracle"] - values["logging"]
    assert values["learned"] > values["logging"] + 0.3 * gain
    assert values["learned"] > values["control"]
    assert values["learned"] > values["a = b = 1"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_marwil_beats_the_log_and_control_too(seed):
    found = world(seed)
    policy = released(found.data, "marwil")
    values = true_values(found, {"learned": policy, "a = b = 1": plain(policy)})
    shown(seed, values)
    assert values["learned"] > max(values["logging"], values["control"])


def test_the_model_orders_arms_as_the_truth_does():
    found = world(1, users=500)
    rows = np.flatnonzero((found.rows == "gate") & found.data.usable)
    held_out = found.data.rows(rows)
    state = states(held_out.layout, held_out.situation)
    q = fit_reward_model(found.data.part("train")).q(state)[held_out.mask]
    truth = found.expected[rows][held_out.mask]
    assert np.corrcoef(q, truth)[0, 1] > 0.3
