"""The gate on a candidate: gate users' decisions in, `verdict.json` out; and what follows from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rapport.evaluation.gate import Evidence, gate
from rapport.evaluation.estimators import Log
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import GateSettings, Verdict
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.policies import find_candidate, load_dataset, origin_of
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import fit_reward_model
from rapport.release import Metric, current, list_releases, promote, publish, stage
from rapport.release_manifest import VERDICT


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
    (folder / VERDICT).write_text(text + "\n", encoding="utf-8")
    return verdict


def release_judged(home: Home, lake: Lake, *, candidate: str | None) -> dict[str, Any]:
    """Publish a judged candidate and let it serve.

    A refused policy is replaced by the incumbent's (at first the evenly drawn arms) and the rest
    of the release is published; personas with too little data keep the incumbent's policy.

    Returns:
        `release`, `alias`, `policy` (candidate or incumbent), `reasons` of a refusal.
    """
    folder = find_candidate(home, candidate)
    verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    origin = origin_of(home, lake, folder.name)
    policy = Policy.load(folder / "policy")
    incumbent = _incumbent(home, policy)
    held = [name.partition("/")[2] for name in verdict["too_little_data"]]
    chosen = incumbent
    if verdict["promoted"]:
        chosen = policy.withholding([h for h in held if h in policy.layout.personas], incumbent)
    if chosen.id != policy.id:
        folder = _with_policy(folder, chosen, home)
    release_id = publish(folder, home.releases, origin=origin, metrics=_metrics(verdict))
    promote(home.releases, release_id)
    _note(lake, release_id, verdict, origin.table_versions or {})
    alias = next(one.manifest.alias for one in list_releases(home.releases)
                 if one.release_id == release_id and one.manifest)
    return {
        "release": release_id,
        "alias": alias,
        "policy": "candidate" if verdict["promoted"] else "incumbent",
        "refused": not verdict["promoted"],
        "reasons": verdict["reasons"],
    }


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


def _incumbent(home: Home, policy: Policy) -> Policy:
    serving = current(home.releases)
    if serving is not None:
        incumbent = Policy.load(serving / "policy")
        if incumbent.layout == policy.layout:
            return incumbent
    return uniform_policy(policy.layout)


def _with_policy(folder: Path, policy: Policy, home: Home) -> Path:
    for old in sorted((folder / "policy").rglob("*"), reverse=True):
        old.unlink() if old.is_file() else old.rmdir()
    policy.save(folder / "policy")
    return stage(folder, home.releases)


def _metrics(verdict: Mapping[str, Any]) -> list[Metric]:
    return [
        Metric(
            name=f"gain_{row['estimator']}",
            group=row["group"],
            estimate=row["estimate"],
            low=row["low"],
            n=row["n"],
        )
        for row in verdict["rows"]
    ]


def _note(
    lake: Lake, release_id: str, verdict: Mapping[str, Any], versions: Mapping[str, int]
) -> None:
    metrics = [{"release_id": release_id, **m.model_dump()} for m in _metrics(verdict)]
    lake.append("metrics", metrics, writer=f"release/{release_id}", version=1)
    lineage = [
        {"release_id": release_id, "part": "log", "table": table, "table_version": version}
        for table, version in versions.items()
    ]
    lake.append("lineage", lineage, writer=f"release/{release_id}", version=1)
