"""The search for a policy: the reward model and MARWIL compete in one Ray Tune run.

Every trial fits one learner to train and tune users and is worth its doubly robust value on those
that its models never saw, a third at a time, at its own best behaviour. The better learner is then
fitted again to all of them.
"""

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
from rapport.cluster.study import Study, study_key
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

    Trials that an interrupted search of the same data had finished are not run again.

    Args:
        data: Decisions of all users; train and tune users are used, gate users never.
        trials: Settings to try, both learners' defaults first, then random ones in turn.
        budget_s: Seconds for everything, Ray's start and the last fit included.
        seed: Of proposals and fits.
        home: Where the study is kept, in `work/tune`.

    Raises:
        TooLittleDataError: Train and tune users reported too few rewards to fit or measure.
    """
    ends_at = time.monotonic() + budget_s * (1.0 - _FIT_SHARE)
    bench = prepare(data, seed=seed)
    proposed = propose(trials, seed=seed)
    study = Study(home.work / "tune", key=study_key(data, seed=seed), proposed=proposed)
    if study.waiting and ends_at - time.monotonic() > _LEAST_SEARCH_S:
        with ray_session(home):
            budget_s = max(ends_at - time.monotonic(), 1.0)
            _run(bench.without_messages(), proposed, seed=seed, budget_s=budget_s, study=study)
    if not study.ranked:
        study.add(run_trial(bench, proposed[0], seed=seed))
    best = study.ranked[0]
    policy = retrain(data, Recipe(best.settings, best.behaviour), seed=seed)
    study.close(policy.id)
    return PolicyCandidates(policy, study.ranked, len(proposed), study.folder)


class _Keeper(tune.Callback):
    """Puts each trial into the study when it reports, on the driver's side."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: object,
        result: dict[str, Any],
        **info: object,
    ) -> None:
        del iteration, trials, trial, info
        if "trial" in result:
            self._study.add(from_json(result["trial"]))


def _run(
    bench: Bench,
    proposed: Sequence[LearnerSettings],
    *,
    seed: int,
    budget_s: float,
    study: Study,
) -> None:
    def trainable(config: dict[str, Any], *, bench: Bench) -> None:
        torch.set_num_threads(1)  # trials run side by side; more threads each only contend
        trial = run_trial(bench, proposed[config["index"]], seed=seed)
        tune.report({"value": trial.value, "trial": to_json(trial)})

    tuner = tune.Tuner(
        tune.with_parameters(trainable, bench=bench),
        param_space={"index": tune.grid_search(study.waiting)},
        tune_config=tune.TuneConfig(
            metric="value", mode="max", time_budget_s=budget_s, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="policy",
            storage_path=str(study.folder),
            verbose=0,
            callbacks=[_Keeper(study)],
        ),
    )
    with redirect_stdout(sys.stderr):  # stdout belongs to the job's one JSON object
        results = tuner.fit()
    if results.errors:
        raise results.errors[0]  # a trial that fails is a defect; one out of time has no error
