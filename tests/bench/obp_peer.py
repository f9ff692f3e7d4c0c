"""The Open Bandit Pipeline's answers, in an environment of its own: it needs Python 3.9.

    python3.9 -m venv obp && obp/bin/pip install obp==0.5.7 'matplotlib<3.9'
    obp/bin/python tests/bench/obp_peer.py figures tests/unit/evaluation/obp_figures.npz
    obp/bin/python tests/bench/obp_peer.py synthetic FILE.npz --seed 0
    obp/bin/python tests/bench/obp_peer.py turns FOLDER

`figures` keeps a small log with what every estimator makes of it. `synthetic` keeps one log of its
generator, 10,000 rounds of 30 actions. `turns` reads the arrays in a folder and answers each line
of its input with the seconds that took: `points`, or `bootstrap N`.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from obp.dataset import SyntheticBanditDataset, logistic_reward_function
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustTuning,
    InverseProbabilityWeighting,
    InverseProbabilityWeightingTuning,
    MarginalizedInverseProbabilityWeighting,
    OffPolicyEvaluation,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SelfNormalizedMarginalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
    SwitchDoublyRobustTuning,
)
from obp.ope.helper import estimate_student_t_lower_bound
from obp.policy import IPWLearner
from sklearn.linear_model import LogisticRegression

CLIP, THRESHOLD, CUTS = 5.0, 2.0, [1.0, 2.0, 4.0, 8.0, 1e9]
ARMS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3])
"""Arm of each of ten actions."""
SHARED = {
    "ips": InverseProbabilityWeighting(estimator_name="ips"),
    "clipped": InverseProbabilityWeighting(lambda_=CLIP, estimator_name="clipped"),
    "snips": SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
    "dm": DirectMethod(estimator_name="dm"),
    "dr": DoublyRobust(estimator_name="dr"),
    "sndr": SelfNormalizedDoublyRobust(estimator_name="sndr"),
    "switch_dr": SwitchDoublyRobust(lambda_=THRESHOLD, estimator_name="switch_dr"),
}
"""The estimators that are compared, by our names."""


def figures(path):
    rng = np.random.default_rng(0)
    n, actions = 600, len(ARMS)
    log = {
        "logging": rng.dirichlet(np.full(actions, 0.8), size=n) * 0.9 + 0.1 / actions,
        "target": rng.dirichlet(np.full(actions, 0.8), size=n),
        "q_hat": rng.random((n, actions)),
        "arms": ARMS,
    }
    log["action"] = (log["logging"].cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    log["propensity"] = log["logging"][np.arange(n), log["action"]]
    expected = 0.2 + 0.6 * log["q_hat"][np.arange(n), log["action"]]
    log["reward"] = (rng.random(n) < expected).astype(float)
    values = _points(log)
    # The bound of the mean itself: its distance is the standard error times Student's quantile.
    weighted = log["target"][np.arange(n), log["action"]] / log["propensity"] * log["reward"]
    values["student_lower"] = estimate_student_t_lower_bound(weighted, delta=0.025)
    values.update(_marginal(log))
    values.update(_tuned(log))
    kept = {**log, "names": np.array(list(values)), "values": np.array(list(values.values()))}
    _keep(path, kept)


def _marginal(log):
    given = {
        "reward": log["reward"],
        "action": log["action"],
        "position": np.zeros(len(log["reward"]), dtype=int),
        "context": np.zeros((len(log["reward"]), 1)),
        "pi_b": log["logging"][:, :, None],
        "action_dist": log["target"][:, :, None],
        "action_embed": ARMS[log["action"]][:, None],
        "p_e_a": np.eye(ARMS.max() + 1)[ARMS][:, :, None],
    }
    plain = MarginalizedInverseProbabilityWeighting(n_actions=len(ARMS))
    normal = SelfNormalizedMarginalizedInverseProbabilityWeighting(n_actions=len(ARMS))
    return {
        "mips": plain.estimate_policy_value(**given),
        "snmips": normal.estimate_policy_value(**given),
    }


def _tuned(log):
    kinds = {
        "ips": InverseProbabilityWeightingTuning,
        "dr": DoublyRobustTuning,
        "switch_dr": SwitchDoublyRobustTuning,
    }
    found = {}
    for name, kind in kinds.items():
        tuning = kind(lambdas=list(CUTS), tuning_method="slope", delta=0.05)
        given = {k: log[k] for k in ("reward", "action")}
        value = tuning.estimate_policy_value_with_tuning(
            **given,
            pscore=log["propensity"],
            action_dist=log["target"][:, :, None],
            estimated_rewards_by_reg_model=log["q_hat"][:, :, None],
            position=np.zeros(len(log["reward"]), dtype=int),
        )
        found[f"{name}_cut"], found[f"{name}_tuned"] = tuning.best_hyperparam, value
    return found


def _points(log):
    evaluation, inputs = _evaluation(log)
    return evaluation.estimate_policy_values(**inputs)


def _evaluation(log):
    feedback = {
        "n_rounds": len(log["reward"]),
        "n_actions": log["target"].shape[1],
        "context": np.zeros((len(log["reward"]), 1)),
        "action": log["action"],
        "reward": log["reward"],
        "pscore": log["propensity"],
        "position": None,
    }
    evaluation = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=list(SHARED.values()))
    inputs = {
        "action_dist": log["target"][:, :, None],
        "estimated_rewards_by_reg_model": log["q_hat"][:, :, None],
    }
    return evaluation, inputs


def synthetic(path, seed):
    """The published setting: 10,000 rounds, 30 actions, beta -3, a learned policy.

    As in its examples/synthetic, where the relative error of IPS is .0095, of SNIPS .0067 and of
    DR .0062 on average.
    """
    made = SyntheticBanditDataset(
        n_actions=30,
        dim_context=5,
        beta=-3,
        reward_function=logistic_reward_function,
        reward_type="binary",
        random_state=seed,
    )
    learner = IPWLearner(
        n_actions=30, base_classifier=LogisticRegression(max_iter=1000, random_state=12345)
    )
    train, test = (made.obtain_batch_bandit_feedback(n_rounds=10_000) for _ in range(2))
    learner.fit(
        context=train["context"],
        action=train["action"],
        reward=train["reward"],
        pscore=train["pscore"],
    )
    target = learner.predict_proba(context=test["context"])
    truth = made.calc_ground_truth_policy_value(test["expected_reward"], target)
    kept = {name: test[name] for name in ("context", "action", "reward")}
    _keep(path, {**kept, "propensity": test["pscore"], "target": target[:, :, 0], "truth": truth})


def _keep(path, arrays):
    np.savez_compressed(path, **arrays)


def turns(folder):
    log = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    evaluation, inputs = _evaluation(log)
    for line in sys.stdin:
        what, *count = line.split()
        begun = time.perf_counter()
        if what == "points":
            found = evaluation.estimate_policy_values(**inputs)
        else:
            drawn = evaluation.estimate_intervals(
                **inputs, n_bootstrap_samples=int(count[0]), random_state=0
            )
            found = {name: each["mean"] for name, each in drawn.items()}
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "values": found}), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="obp_peer.py")
    parser.add_argument("what", choices=("figures", "synthetic", "turns"))
    parser.add_argument("place")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "figures":
        figures(arguments.place)
    elif arguments.what == "synthetic":
        synthetic(arguments.place, arguments.seed)
    else:
        turns(arguments.place)


if __name__ == "__main__":
    main()
