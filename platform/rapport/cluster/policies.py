"""The stage `train_policy`: the lake to a candidate release."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rapport.cluster.tuning import Recipe, Trial, retrain, search
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.policies import LAST_POLICY, assemble, load_dataset
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import TrainPolicyConfig
from rapport.policy.policy import Policy

DEFAULT_BUDGET_S = 100.0


def train_policy(config: TrainPolicyConfig) -> dict[str, Any]:
    """Train a policy on every decision that may be learned from, and stage a candidate."""
    home, lake = Home(config.home), lake_of(config)
    data = load_dataset(lake, home, tenant=config.tenant).with_returns(config.gamma)
    known = data.part("train", "tune")
    facts: dict[str, Any] = {"decisions": len(data), "n": len(known)}
    if config.recipe is not None:
        recipe = Recipe.from_json(config.recipe)
        policy = retrain(data, recipe, seed=config.seed)
        facts |= {"runner": "one process", "learners": []}
    elif config.search:
        budget_s = config.seconds or DEFAULT_BUDGET_S
        found = search(data, trials=config.trials, budget_s=budget_s, seed=config.seed, home=home)
        policy, best = found.policy, found.best
        facts |= {"runner": "Ray Tune", "learners": [_row(trial) for trial in best.values()]}
        facts |= {"stopped_by": "budget"} if found.stopped_early else {}
    else:
        if not (home.work / LAST_POLICY).is_dir():
            raise ConfigError("search", False, "there is no trained policy yet; search first")
        earlier = Policy.load(home.work / LAST_POLICY)
        policy = retrain(data, Recipe.of(earlier), seed=config.seed)
        facts |= {"runner": "one process", "learners": []}
    found_by_search = Recipe.of(policy).to_json()
    keep_record(home, lake, "train_policy", config, found=found_by_search)
    users = set(known.user.tolist())
    candidate = assemble(home, lake, policy, users=users, seed=config.seed, prompt=config.prompt)
    settings: Mapping[str, Any] = {"learner": policy.learner, **asdict(policy.behaviour)}
    return {"candidate": candidate.id, "policy": policy.id, "settings": settings, **facts}


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "learner": trial.settings.learner,
        "value": trial.value,
        "a = b = 1": trial.plain,
        "logging policy": trial.logging,
        "seconds": trial.seconds,
        **asdict(trial.behaviour),
    }
