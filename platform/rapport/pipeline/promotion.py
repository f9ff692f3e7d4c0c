"""The stage `promote_release`: a judged candidate to the release that serves."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rapport.errors import ConfigError
from rapport.home import Home
from rapport.lake import Lake, lake_of
from rapport.pipeline.policies import find_candidate, origin_of
from rapport.pipeline.settings import PromoteConfig
from rapport.policy.policy import Policy, uniform_policy
from rapport.release import Metric, alias_of, current, promote, publish, stage
from rapport.release_manifest import VERDICT
from rapport.scratch import scratch_folder
from rapport.store import UserState, open_store


def promote_release(config: PromoteConfig) -> dict[str, Any]:
    """Publish what was judged and let it serve."""
    return promote_judged(Home(config.home), lake_of(config), candidate=config.candidate)


def promote_judged(home: Home, lake: Lake, *, candidate: str | None) -> dict[str, Any]:
    """Publish a judged candidate and let it serve.

    A refused policy is replaced by the incumbent's (at first the evenly drawn arms) and the rest
    of the release is published; personas with too little data keep the incumbent's policy.

    Returns:
        `release`, `alias`, `policy` (candidate or incumbent), `reasons` of a refusal.
    """
    folder = judged = find_candidate(home, candidate)
    verdict = _verdict(folder)
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
    states = _tell_store(home, lake)
    _note(lake, release_id, verdict, origin.table_versions or {})
    shutil.rmtree(judged, ignore_errors=True)  # where its policy was refused, a copy was published
    return {
        "release": release_id,
        "alias": alias_of(release_id),
        "policy": "candidate" if verdict["promoted"] else "incumbent",
        "refused": not verdict["promoted"],
        "reasons": verdict["reasons"],
        "user_states": states,
    }


def _verdict(folder: Path) -> dict[str, Any]:
    try:
        verdict: dict[str, Any] = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "judge it first: rapport run evaluate_release"
        raise ConfigError("candidate", folder.name, remedy) from error
    return verdict


def _tell_store(home: Home, lake: Lake) -> int:
    """Give serving what the batch side knows of each user, where it is newer."""
    users = lake.scan("user_embeddings").collect()
    personas = dict(
        lake.scan("persona_assignments").select("user_id", "persona_id").collect().iter_rows()
    )
    store = open_store(home.store_url)
    try:
        return store.put_user_states(
            [
                UserState(
                    tenant=row["tenant"],
                    user_id=row["user_id"],
                    encoder_id=row["encoder_id"],
                    last_event_ts=row["last_event_ts"],
                    vector=np.array(row["vector"], dtype=np.float32),
                    persona_id=personas.get(row["user_id"]),
                )
                for row in users.iter_rows(named=True)
            ]
        )
    finally:
        store.close()


def _incumbent(home: Home, policy: Policy) -> Policy:
    serving = current(home.releases)
    if serving is not None:
        incumbent = Policy.load(serving / "policy")
        if incumbent.layout == policy.layout:
            return incumbent
    return uniform_policy(policy.layout)


def _with_policy(folder: Path, policy: Policy, home: Home) -> Path:
    """Stage the same release with another policy; the candidate stays until that is published."""
    with scratch_folder(home.work, ".candidate.") as scratch:
        changed = scratch / "new"
        shutil.copytree(folder, changed, ignore=shutil.ignore_patterns("policy"))
        policy.save(changed / "policy")
        return stage(changed, home.releases)


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
