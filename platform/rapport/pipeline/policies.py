"""From the lake to a policy dataset, and from trained parts to a candidate release."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rapport.affect.reward import RewardSettings
from rapport.affect.scorers import load_scorer
from rapport.config import Config
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.lake import Lake
from rapport.language.settings import PROMPT_FILE, PromptSettings
from rapport.personas.model import PersonaModel
from rapport.pipeline.job import code_version
from rapport.pipeline.ports import newest_candidate
from rapport.pipeline.readings import read_decisions
from rapport.pipeline.records import records_of
from rapport.policy.dataset import PolicyDataset, build_dataset
from rapport.policy.features import Layout
from rapport.policy.policy import Policy
from rapport.release import JobRecord, Origin, current, folder_id, stage
from rapport.schema import EVENT_TABLES
from rapport.scratch import replace_text, replaced, scratch_folder
from rapport.users.encoder import UserEncoder
from rapport.users.split import users_in

PARTS: Mapping[str, str] = {
    "encoder": "embed_users",
    "personas": "segment_personas",
    "strategies": "train_scorers",
    "adapters": "train_adapters",
}
"""Folders of a release that earlier jobs left in the work folder, and which job that was."""


_READ_WITH = ("encoder", "personas")


class GuardSettings(Config):
    """What a release was guarded with when it was made."""

    crisis: str = "rules and MiniLM"
    output: str = "rules"


LAST_POLICY = "last_policy"
"""Work folder of the policy trained last, whose settings a training without a search takes."""


@dataclass(frozen=True)
class Candidate:
    """A release that was not judged yet."""

    folder: Path
    policy: Policy

    @property
    def id(self) -> str:
        """Its content's id."""
        return self.folder.name


def load_dataset(
    lake: Lake, home: Home, *, tenant: str, release: Path | None = None
) -> PolicyDataset:
    """Build the dataset of every decision that may be learned from.

    Args:
        lake: Decisions, rewards and what was said before them.
        home: Its work folder holds encoder and personas, its models the affect scorer.
        tenant: Whose decisions.
        release: Folder of a release or candidate whose encoder and personas read the users
            instead.

    Raises:
        ConfigError: The personas were not segmented yet.
    """
    where = {name: release / name if release else part(home, name) for name in _READ_WITH}
    personas = PersonaModel.load(where["personas"])
    decisions = lake.scan("decisions", purpose="train").filter(pl.col("tenant") == tenant).collect()
    users = UserEncoder.load(where["encoder"])
    read = read_decisions(
        lake,
        decisions,
        personas=personas,
        users=users,
        scorer=load_scorer(home.root / "models", encoder_id=users.encoder_id),
    )
    layout = Layout.of(personas.names)
    return build_dataset(layout, read.decisions, latest_rewards(lake), readings=read.readings)


def latest_rewards(lake: Lake) -> pl.DataFrame:
    """Read the latest reward of each decision: `decision_id, value`."""
    rewards = lake.scan("rewards", purpose="train").sort("reward_version", "as_of")
    return rewards.group_by("decision_id").agg(pl.col("value").last()).collect()


def part(home: Home, name: str) -> Path:
    """Return the work folder of a release's part.

    Raises:
        ConfigError: The job that makes it has not run in this home.
    """
    folder = home.work / name
    if not folder.is_dir():
        raise ConfigError(name, str(folder), f"run it first: rapport run {PARTS[name]}")
    return folder


def assemble(
    home: Home,
    lake: Lake,
    policy: Policy,
    *,
    users: Iterable[str],
    seed: int,
    prompt: PromptSettings | None = None,
) -> Candidate:
    """Put the parts of a release together under `releases/.candidates/<id>`.

    Args:
        home: Its work folder holds the parts.
        lake: Its table versions are noted for lineage.
        policy: The policy to be judged.
        users: Keyed ids the policy learned from; they stay outside the release.
        seed: Of the run.
        prompt: What it says of prompts; none is the default.
    """
    versions = {name: lake.version(name) for name in (*EVENT_TABLES, "turn_embeddings")}
    made = {job: record.model_dump() for job, record in records_of(home).items()}
    origin = {"users": sorted(users), "seed": seed, "table_versions": versions, "jobs": made}
    with scratch_folder(home.work, ".candidate.") as scratch:
        folder = scratch / "new"
        for name in PARTS:
            shutil.copytree(part(home, name), folder / name, ignore=shutil.ignore_patterns(".*"))
        policy.save(folder / "policy")
        _write(folder / "reward.json", RewardSettings().model_dump(mode="json"))
        _write(folder / "guard.json", GuardSettings().model_dump())
        _write(folder / PROMPT_FILE, (prompt or PromptSettings()).model_dump())
        with replaced(home.work / LAST_POLICY) as kept:
            policy.save(kept)
        # Before the candidate itself: one without an origin could be neither judged nor published.
        replace_text(_origin_file(home, folder_id(folder)), _json(origin))
        staged = stage(folder, home.releases)
    return Candidate(staged, policy)


def find_candidate(home: Home, name: str | None) -> Path:
    """Return the named candidate's folder, by default the newest one's.

    Raises:
        ConfigError: There is none.
    """
    found = newest_candidate(home, name)
    if found is None:
        raise ConfigError("candidate", name or "", "train one first: rapport run train_policy")
    return found


def origin_of(home: Home, lake: Lake, candidate: str) -> Origin:
    """Tell what a candidate comes from, for its manifest."""
    stated = json.loads(_origin_file(home, candidate).read_text(encoding="utf-8"))
    made = {job: JobRecord.model_validate(found) for job, found in stated.get("jobs", {}).items()}
    judged = {job: record for job, record in records_of(home).items() if job == "evaluate_release"}
    assigned = lake.scan("persona_assignments").select("user_id").unique().collect()["user_id"]
    everyone = assigned.to_list()
    serving = current(home.releases)
    return Origin(
        code_version=code_version(),
        lineage={
            "personas": everyone,
            "adapters": users_in("train", everyone),
            "policy": stated["users"],
        },
        salt=home.secret(),
        parents=[serving.name] if serving else [],
        seeds={"run": stated["seed"]},
        table_versions=stated["table_versions"],
        jobs={**made, **judged},
    )


def _origin_file(home: Home, candidate: str) -> Path:
    folder = home.work / "origins"
    folder.mkdir(exist_ok=True)
    return folder / f"{candidate}.json"


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(_json(values), encoding="utf-8")


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True) + "\n"
