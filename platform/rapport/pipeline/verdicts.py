"""The stage `evaluate_release`: gate users' decisions in, `verdict.json` out."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from rapport.evaluation.estimators import Log
from rapport.evaluation.gate import Evidence, gate
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import GateSettings, Verdict
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.pipeline.policies import find_candidate, load_dataset
from rapport.pipeline.settings import EvaluateConfig
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Policy
from rapport.policy.reward_model import fit_reward_model
from rapport.release import list_releases
from rapport.release_manifest import VERDICT
from rapport.scratch import replace_text


def evaluate_release(config: EvaluateConfig) -> dict[str, Any]:
    """Judge a candidate; a refusal is a result, not a failure."""
    verdict = judge(
        Home(config.home),
        lake_of(config),
        tenant=config.tenant,
        candidate=config.candidate,
        settings=config.gate,
    )
    return {**verdict.to_json(), "rows": [asdict(row) for row in verdict.rows]}


def judge(
    home: Home, lake: Lake, *, tenant: str, candidate: str | None, settings: GateSettings
) -> Verdict:
    """Judge a candidate on users that taught it nothing, and write its `verdict.json`.

    The reward model of the doubly robust estimate learned from the other users only.
    """
    folder = find_candidate(home, candidate)
    policy = Policy.load(folder / "policy")
    data = load_dataset(lake, home, tenant=tenant)
    rows = data.part("gate")
    judge_model = fit_reward_model(data.part("train", "tune"), seed=settings.seed)
    evidence = Evidence(
        log=rows.log(),
        q_hat=judge_model.q(rows.states),
        arms=rows.layout.arms,
        groups={
            "persona": rows.persona,
            "agent": np.array(rows.layout.agents)[rows.situation.agent],
        },
        source=rows.source,
        first=_first_release(home, rows),
        control=_control(data),
        new_generator=True,
    )
    verdict = gate(evidence, _target(policy, rows), settings)
    text = json.dumps({"candidate": folder.name, **verdict.to_json()}, indent=1, allow_nan=False)
    replace_text(folder / VERDICT, text + "\n")
    return verdict


def _target(policy: Policy, rows: PolicyDataset) -> FloatArray:
    return policy.decide(rows.situation, mask=rows.mask, explore=rows.explore).probability


def _first_release(home: Home, rows: PolicyDataset) -> FloatArray | None:
    """Probabilities of the first release's policy, where its personas are the same."""
    listed = [one for one in list_releases(home.releases) if one.manifest]
    if not listed:
        return None
    first = Policy.load(home.releases / listed[0].release_id / "policy")
    return _target(first, rows) if first.layout == rows.layout else None


def _control(data: PolicyDataset) -> Log | None:
    control = data.rows(data.control & data.reported)
    return control.log() if len(control) else None
