"""The stage `promote_release`: a judged candidate to the release that serves."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.ports import newest_candidate
from rapport.pipeline.promotion_plan import (
    Plan,
    changed,
    composed,
    described,
    described_release,
    plan_of,
)
from rapport.release import (
    Manifest,
    alias_of,
    current,
    find,
    folder_id,
    promote,
    publish,
    rollback,
    stage,
    verify,
)
from rapport.scratch import replace_text
from rapport.store import UserState, open_store


def promote_judged(home: Home, lake: Lake, *, candidate: str | None) -> dict[str, Any]:
    """Publish a judged candidate and let it serve; see `plan_of` for what is published.

    A promotion that was killed between its steps is finished first.

    Returns:
        `release` that serves now, `alias`, `policy` (candidate, incumbent or serving), `refused`
        with its `reasons`, `changes` by part, `user_states` told to serving.
    """
    unfinished = _unfinished(home)
    if unfinished is not None and candidate in (None, unfinished["candidate"]):
        return _finish(home, lake, unfinished)
    if unfinished is not None:
        _finish(home, lake, unfinished)
    plan = plan_of(home, lake, candidate=candidate)
    if plan.waits:
        return {**described(plan, home), "user_states": 0}
    return _finish(home, lake, _published(plan, home))


def promote_named(home: Home, lake: Lake, name: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Promote a candidate by its id, or a published release by id or alias.

    Args:
        home: Where releases and candidates lie.
        lake: Told of what is published.
        name: Of a candidate (its whole id) or a release.
        dry_run: Check everything and say what would happen; write nothing.

    Raises:
        UnknownNameError: Nothing is called so.
        BrokenReleaseError: Its hashes do not hold; CURRENT stays as it was.
        GateRefusedError: A published release holds a policy that the gate refused or never saw.
    """
    if newest_candidate(home, name) is not None:
        if dry_run:
            return {**described(plan_of(home, lake, candidate=name), home), "dry_run": True}
        return promote_judged(home, lake, candidate=name)
    folder = find(home.releases, name)
    facts = described_release(folder, home)
    if dry_run:
        return {**facts, "dry_run": True}
    promote(home.releases, folder.name)
    return {**facts, "serves": True}


def roll_back(home: Home) -> dict[str, Any]:
    """Let the release serve that served before, and say what that changes."""
    before = current(home.releases)
    folder = rollback(home.releases)
    return {
        "release": folder.name,
        "alias": alias_of(folder.name),
        "changes": changed(folder, before),
    }


def _published(plan: Plan, home: Home) -> dict[str, Any]:
    """Publish, with a note beforehand that lets a next run finish what a crash leaves."""
    with composed(plan, home) as folder:
        note = {
            "candidate": plan.folder.name,
            "release": folder_id(folder),
            "policy": plan.takes,
            "refused": plan.refused,
            "reasons": plan.reasons,
            "changes": changed(folder, current(home.releases)),
        }
        replace_text(_note_file(home), json.dumps(note) + "\n")
        publish(
            stage(folder, home.releases), home.releases, origin=plan.origin, metrics=plan.metrics
        )
    return note


def _unfinished(home: Home) -> dict[str, Any] | None:
    """The promotion under way that published its release; one that did not begins anew."""
    path = _note_file(home)
    if not path.exists():
        return None
    note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return note if (home.releases / note["release"]).is_dir() else None


def _finish(home: Home, lake: Lake, note: dict[str, Any]) -> dict[str, Any]:
    """Let a published release serve and tell store and lake; each step may be repeated."""
    folder, states = let_serve(home, lake, note["release"])
    record(lake, verify(folder))
    # Where its policy was refused, a copy was published.
    shutil.rmtree(home.releases / ".candidates" / note["candidate"], ignore_errors=True)
    _note_file(home).unlink(missing_ok=True)
    return {
        "release": folder.name,
        "alias": alias_of(folder.name),
        **{key: note[key] for key in ("policy", "refused", "reasons", "changes")},
        "user_states": states,
    }


def let_serve(home: Home, lake: Lake, release: str) -> tuple[Path, int]:
    """Let a published release serve and tell the store of its users; their number beside it."""
    return promote(home.releases, release), _tell_store(home, lake)


def _note_file(home: Home) -> Path:
    return home.work / "promotion.json"


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


def record(lake: Lake, manifest: Manifest) -> None:
    """Tell the lake of a published release: its metrics, and the table versions it names."""
    release_id = manifest.release_id
    metrics = [{"release_id": release_id, **metric.model_dump()} for metric in manifest.metrics]
    lake.append("metrics", metrics, writer=f"release/{release_id}", version=1)
    lineage = [
        {"release_id": release_id, "part": "log", "table": table, "table_version": version}
        for table, version in manifest.table_versions.items()
    ]
    lake.append("lineage", lineage, writer=f"release/{release_id}", version=1)
