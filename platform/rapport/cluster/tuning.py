"""The search for a policy: the reward model and MARWIL compete in one Ray Tune run.

Every trial fits one learner on the train users and is worth its doubly robust value on the tune
users, at its own best behaviour. The better learner is then fitted again on both.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from rapport.cluster.session import ray_session
from rapport.cluster.study import Study
from rapport.cluster.trials import (
    LearnerSettings,
    Recipe,
    Trial,
    from_json,
    propose,
    retrain,
    run_trial,
    to_json,
)
from rapport.home import Home
from rapport.policy.dataset import PolicyDataset
from rapport.policy.learn import Bench, prepare
from rapport.policy.policy import Policy
from rapport.scratch import replace_text

__all__ = ["PolicyCandidates", "Recipe", "Trial", "retrain", "search"]

_FIT_SHARE = 0.2  # of the budget, kept for the last fit on train and tune users together
_LEAST_SEARCH_S = 10.0  # below, starting Ray would cost more than is left


@dataclass(frozen=True)
class PolicyCandidates:
    """A search's outcome: the policy to judge next, and everything it beat."""

    policy: Policy
    trials: tuple[Trial, ...]
    """Finished trials, best first."""
    planned: int
    study: Path
    """Folder of the Tune run, with `study.json` beside it."""

    @property
    def stopped_early(self) -> bool:
        """True when the budget ended the search before its last trial."""
        return len(self.trials) < self.planned

    @property
    def best(self) -> Mapping[str, Trial]:
        """Best trial of each learner."""
        first: dict[str, Trial] = {}
        for trial in self.trials:
            first.setdefault(trial.settings.learner, trial)
        return first


def search(
    data: PolicyDataset, *, trials: int, budget_s: float, seed: int, home: Home
) -> PolicyCandidates:
    """Find a policy within a budget; at the budget the best so far is kept.

    A search that was killed keeps its finished trials and goes on with the others.

    Args:
        data: Decisions of all users; train and tune users are used, gate users never.
        trials: Settings to try, both learners' defaults first, then random ones in turn.
        budget_s: Seconds for everything, Ray's start and the last fit included.
        seed: Of proposals and fits.
        home: Where the study is kept, in `work/tune`.

    Raises:
        TooLittleDataError: Train or tune users reported too few rewards to fit or measure.
    """
    started = time.monotonic()
    bench = prepare(data, seed=seed)
    proposed = propose(trials, seed=seed)
    study = Study(home.work / "tune", bench, seed=seed)
    kept = study.finished(proposed)
    missing = [each for each in proposed if each not in kept]
    left_s = budget_s * (1.0 - _FIT_SHARE) - (time.monotonic() - started)
    if missing and left_s > _LEAST_SEARCH_S:
        with ray_session(home):
            left_s = budget_s * (1.0 - _FIT_SHARE) - (time.monotonic() - started)
            bound = max(left_s, 1.0)
            _run(bench.without_messages(), missing, seed=seed, budget_s=bound, study=study)
    finished = [trial for trial in study.trials() if trial.settings in proposed]
    if not finished:
        finished = [run_trial(bench, proposed[0], seed=seed)]
    ranked = tuple(sorted(finished, key=lambda trial: -trial.value))
    policy = retrain(data, Recipe(ranked[0].settings, ranked[0].behaviour), seed=seed)
    outcome = PolicyCandidates(policy, ranked, len(proposed), study.folder)
    _keep(outcome)
    return outcome


def _run(
    bench: Bench,
    proposed: Sequence[LearnerSettings],
    *,
    seed: int,
    budget_s: float,
    study: Study,
) -> None:
    """Try settings side by side; each finished trial is in the study before this returns."""

    def trainable(config: dict[str, Any], *, bench: Bench) -> None:
        torch.set_num_threads(1)  # trials run side by side; more threads each only contend
        trial = run_trial(bench, proposed[config["index"]], seed=seed)
        tune.report({"value": trial.value, "trial": to_json(trial)})

    tuner = tune.Tuner(
        tune.with_parameters(trainable, bench=bench),
        param_space={"index": tune.grid_search(list(range(len(proposed))))},
        tune_config=tune.TuneConfig(
            metric="value", mode="max", time_budget_s=budget_s, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="policy", storage_path=str(study.folder), verbose=0, callbacks=[_Keeper(study)]
        ),
    )
    with redirect_stdout(sys.stderr):  # stdout belongs to the job's one JSON object
        results = tuner.fit()
    if results.errors:
        raise results.errors[0]  # a trial that fails is a defect; one out of time has no error


class _Keeper(tune.Callback):
    """Keeps every trial as it is reported: a killed search loses only those under way."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def on_trial_result(self, **info: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """Keep what a trial reported; Ray reports a trial's end once more, without it."""
        if "trial" in info["result"]:
            self._study.keep(from_json(info["result"]["trial"]))


def _keep(outcome: PolicyCandidates) -> None:
    kept = {
        "policy": outcome.policy.id,
        "planned": outcome.planned,
        "trials": [to_json(trial) for trial in outcome.trials],
    }
    replace_text(outcome.study / "study.json", json.dumps(kept, indent=1) + "\n")
