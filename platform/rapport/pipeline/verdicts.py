"""The stage `evaluate_release`: gate users' decisions in, `verdict.json` out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.evaluation.comparisons import scant_groups
from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.generators import CANARY_ONLY
from rapport.evaluation.verdict import NEW_REPLIES, GateSettings, Verdict
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.pipeline.policies import find_candidate, load_dataset
from rapport.pipeline.records import keep_record
from rapport.pipeline.settings import EvaluateConfig
from rapport.pipeline.standing import (
    change_of,
    first_release,
    incumbent_of,
    other_generator,
    probabilities,
)
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import fit_reward_model
from rapport.release import current
from rapport.release_manifest import VERDICT
from rapport.scratch import replace_text

_PERSONA = "persona/"


def evaluate_release(config: EvaluateConfig) -> dict[str, Any]:
    """Judge a candidate; a refusal is a result, not a failure."""
    home, lake = Home(config.home), lake_of(config)
    verdict = judge(
        home, lake, tenant=config.tenant, candidate=config.candidate, settings=config.gate
    )
    keep_record(home, lake, "evaluate_release", config)
    return verdict


def judge(
    home: Home, lake: Lake, *, tenant: str, candidate: str | None, settings: GateSettings
) -> dict[str, Any]:
    """Judge a candidate on users that taught it nothing, and write its `verdict.json`.

    The reward model of the doubly robust estimate learned from the other users only. What is
    judged is what would be published: personas with too little data follow the incumbent already.

    Returns:
        The contents of `verdict.json`: the verdict, and the ids of `candidate`, of the `policy`
        judged, of the `incumbent` that answers where that one may not (null without one), and
        `next`: the command that finds out what the log cannot tell (null where it can).
    """
    folder = find_candidate(home, candidate)
    data = load_dataset(lake, home, tenant=tenant, release=folder)
    rows = data.part("gate")
    evidence = _evidence(home, lake, data, folder=folder, tenant=tenant, seed=settings.seed)
    policy, incumbent = Policy.load(folder / "policy"), incumbent_of(home, data.layout)
    scant = scant_groups(evidence, probabilities(policy, rows), settings)
    kept = tuple(name for name in scant if name.startswith(_PERSONA))
    policy = published(policy, incumbent, kept=kept)
    change = change_of(home, rows, candidate=folder, policy=policy, incumbent=incumbent)
    evidence = replace(evidence, kept=kept, stated=change)
    verdict = gate(evidence, probabilities(policy, rows), settings)
    stated = {
        "candidate": folder.name,
        "policy": policy.id,
        "incumbent": incumbent.id if incumbent else None,
        **verdict.to_json(),
        "next": _next(home, folder.name, verdict),
    }
    text = json.dumps(stated, indent=1, allow_nan=False)
    replace_text(folder / VERDICT, text + "\n")
    result: dict[str, Any] = json.loads(text)
    return result


def _next(home: Home, candidate: str, verdict: Verdict) -> str | None:
    """How its replies are tried on people, where the log does not tell what they are worth."""
    new = verdict.change in NEW_REPLIES
    if not new or verdict.generator != CANARY_ONLY or current(home.releases) is None:
        return None
    return f"rapport release canary {candidate} --share 0.1"


def published(policy: Policy, incumbent: Policy | None, *, kept: tuple[str, ...]) -> Policy:
    """The candidate's policy as it would serve: the incumbent's choices for `kept` personas."""
    names = [name.removeprefix(_PERSONA) for name in kept if name.startswith(_PERSONA)]
    return policy.withholding(names, incumbent or uniform_policy(policy.layout))


def _evidence(
    home: Home, lake: Lake, data: PolicyDataset, *, folder: Path, tenant: str, seed: int
) -> Evidence:
    rows = data.part("gate")
    first, first_note = first_release(home, lake, rows, candidate=folder, tenant=tenant)
    facts = _facts(lake, rows)
    return evidence_of(
        data,
        seed=seed,
        estimated=(facts["propensity_source"] == "estimated").to_numpy(),
        first=first,
        first_note=first_note,
        foreign=other_generator(home, facts, candidate=folder),
    )


def evidence_of(
    data: PolicyDataset,
    *,
    seed: int,
    estimated: NDArray[np.bool_] | None = None,
    **known: Any,  # noqa: ANN401  (fields of Evidence)
) -> Evidence:
    """What the gate users' decisions of a dataset say.

    Args:
        data: Decisions of all users; a judge of rewards is fitted to train and tune users.
        seed: Of that fit.
        estimated: [N] gate rows whose propensities are a model's: their vectors are not relied on.
        known: Further fields of the evidence.
    """
    rows = data.part("gate")
    judge_model = fit_reward_model(data.part("train", "tune"), seed=seed)
    control = data.rows(data.control)
    return Evidence(
        log=_without_vectors(rows.log(), estimated),
        q_hat=judge_model.q(rows.states),
        arms=rows.layout.arms,
        groups={"persona": rows.persona, **_contrasts(rows)},
        source=rows.source,
        control=control.log() if len(control) else None,
        **known,
    )


def _contrasts(rows: PolicyDataset) -> Mapping[str, NDArray[np.str_]]:
    """Groups beside personas; a kind of which all rows share one label tells nobody apart."""
    kinds = {"agent": np.array(rows.layout.agents)[rows.situation.agent], **rows.groups}
    return {kind: labels for kind, labels in kinds.items() if len(np.unique(labels)) > 1}


def _facts(lake: Lake, rows: PolicyDataset) -> pl.DataFrame:
    wanted = pl.DataFrame(
        {"decision_id": rows.decision_id.tolist()}, schema={"decision_id": pl.String}
    )
    columns = ("decision_id", "release_id", "propensity_source")
    known = lake.scan("decisions", purpose="train").select(columns).unique("decision_id").collect()
    return wanted.join(known, on="decision_id", how="left", maintain_order="left")


def _without_vectors(log: Log, estimated: NDArray[np.bool_] | None) -> Log:
    if estimated is None or log.probabilities is None or not estimated.any():
        return log
    return replace(log, probabilities=np.where(estimated[:, None], np.nan, log.probabilities))
