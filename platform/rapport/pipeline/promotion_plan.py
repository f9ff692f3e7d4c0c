"""What a promotion would do: the checks before it, and what it would change."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rapport.errors import BrokenReleaseError, ConfigError, GateRefusedError
from rapport.home import Home
from rapport.lake import Lake
from rapport.language.settings import PROMPT_FILE
from rapport.pipeline.policies import find_candidate, origin_of
from rapport.pipeline.ports import digest_tree
from rapport.pipeline.refusals import refused_adapters, told, without
from rapport.pipeline.standing import incumbent_of
from rapport.pipeline.verdicts import published
from rapport.policy.policy import Policy
from rapport.release import Metric, Origin, alias_of, current, folder_id, prepared, verify
from rapport.release_manifest import VERDICT
from rapport.scratch import scratch_folder

PARTS = (
    "encoder", "personas", "strategies", "adapters", "policy",
    "reward.json", "guard.json", PROMPT_FILE,
)  # fmt: skip
_JUDGE = "judge it: rapport run evaluate_release"
_WAITS = "its choice of arms is the one that serves, so its release goes on serving as it is"
_OTHER_PERSONAS = "the serving policy knows other personas: its release goes on serving as it is"


@dataclass(frozen=True)
class Plan:
    """A judged candidate, and what will be published of it."""

    folder: Path
    verdict: Mapping[str, Any]
    origin: Origin
    policy: Policy | None
    """The candidate's, or the incumbent's in its place; None publishes nothing."""
    refused_adapters: Mapping[str, list[str]] = field(default_factory=dict)
    """Adapters that are left out, with the reasons."""

    @property
    def refused_policy(self) -> bool:
        """Whether the gate said no to the candidate's policy."""
        return not self.verdict["promoted"]

    @property
    def refused(self) -> bool:
        """Whether the gate said no to a part of the candidate."""
        return self.refused_policy or bool(self.refused_adapters)

    @property
    def waits(self) -> bool:
        """Whether nothing is published: a canary may try it, unless no policy can answer in it."""
        alone = self.verdict.get("change") == "generator"
        return self.policy is None or (self.refused_policy and alone)

    @property
    def takes(self) -> str:
        """Whose policy will serve: `candidate`, `incumbent`, or `serving`, whose release stays."""
        if self.waits:
            return "serving"
        return "incumbent" if self.refused_policy else "candidate"

    @property
    def reasons(self) -> list[str]:
        """Why the gate said no, and what follows where nothing is published."""
        kept = [_OTHER_PERSONAS] if self.policy is None else [_WAITS] if self.waits else []
        return [*self.verdict["reasons"], *told(self.refused_adapters), *kept]

    @property
    def metrics(self) -> list[Metric]:
        """The verdict's gains, for the manifest."""
        return [
            Metric(
                name=f"gain_{row['estimator']}",
                group=row["group"],
                estimate=row["estimate"],
                low=row["low"],
                high=row["high"],
                n=row["n"],
            )
            for row in self.verdict["rows"]
        ]


def plan_of(home: Home, lake: Lake, *, candidate: str | None) -> Plan:
    """Check a candidate and its verdict, and decide what will be published.

    A refused policy is replaced by the incumbent's (at first the evenly drawn arms); where that
    would change nothing but who writes, nothing is published. Personas with too little data follow
    the incumbent's, as they did when it was judged. Adapters that its card refuses are left out.

    Raises:
        ConfigError: There is no candidate, nobody judged it, or it was judged beside another
            incumbent than the one that serves now.
        BrokenReleaseError: Its files are not those that were staged.
    """
    folder = find_candidate(home, candidate)
    found = folder_id(folder)
    if found != folder.name:
        raise BrokenReleaseError(folder.name, ".", f"its content is {found}; train it again")
    verdict = _verdict(folder)
    if verdict is None:
        raise ConfigError("candidate", folder.name, f"nobody judged it yet; {_JUDGE}")
    policy = Policy.load(folder / "policy")
    incumbent = incumbent_of(home, policy.layout)
    chosen: Policy | None = incumbent
    if verdict["promoted"]:
        chosen = published(policy, incumbent, kept=tuple(verdict["too_little_data"]))
        if chosen.id != verdict["policy"]:
            raise ConfigError("candidate", folder.name, f"another incumbent serves now; {_JUDGE}")
    origin = origin_of(home, lake, folder.name)
    return Plan(folder, verdict, origin, chosen, refused_adapters(folder))


@contextmanager
def composed(plan: Plan, home: Home) -> Iterator[Path]:
    """Hold the folder to publish: the candidate's own, or a copy with what may serve."""
    same = plan.policy is None or plan.policy.id == Policy.load(plan.folder / "policy").id
    if plan.policy is None or (same and not plan.refused_adapters):
        yield plan.folder
        return
    with scratch_folder(home.work, ".candidate.") as scratch:
        copy = scratch / "new"
        replaced = () if same else ("policy",)
        shutil.copytree(plan.folder, copy, ignore=shutil.ignore_patterns(*replaced))
        if not same:
            plan.policy.save(copy / "policy")
        without(copy / "adapters", plan.refused_adapters)
        if plan.refused_policy:
            stated = {**plan.verdict, "incumbent": plan.policy.id}
            (copy / VERDICT).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
        yield copy


def described(plan: Plan, home: Home) -> dict[str, Any]:
    """What carrying a plan out would do; writes nothing that stays.

    Raises:
        BrokenReleaseError: A file names a user or is a link, so it could not be published.
    """
    serving = current(home.releases)
    facts: dict[str, Any] = {
        "candidate": plan.folder.name,
        "policy": plan.takes,
        "refused": plan.refused,
        "reasons": plan.reasons,
    }
    if plan.waits:
        return {"release": serving.name if serving else None, **facts, "changes": {}}
    with composed(plan, home) as folder:
        made = prepared(folder, origin=plan.origin, metrics=plan.metrics)
        changes = changed(folder, serving)
    return {"release": made.release_id, "alias": made.alias, **facts, "changes": changes}


def described_release(folder: Path, home: Home) -> dict[str, Any]:
    """What promoting a published release would do.

    Raises:
        BrokenReleaseError: Its hashes do not hold.
        GateRefusedError: It holds a policy that the gate refused, or never judged.
    """
    verify(folder)
    _refuse_unjudged(folder)
    serving = current(home.releases)
    return {
        "release": folder.name,
        "alias": alias_of(folder.name),
        "refused": False,
        "serves": serving is not None and serving.name == folder.name,
        "changes": changed(folder, serving),
    }


def changed(folder: Path, serving: Path | None) -> dict[str, str]:
    """`new`, `same` or `changed` for each part of a release beside those of the one that serves."""
    if serving is None:
        return dict.fromkeys(PARTS, "new")
    same = {name: digest_tree(folder / name) == digest_tree(serving / name) for name in PARTS}
    return {name: "same" if holds else "changed" for name, holds in same.items()}


def _refuse_unjudged(folder: Path) -> None:
    verdict = _verdict(folder)
    if verdict is None:
        raise GateRefusedError(folder.name, ["nobody judged it"])
    held = Policy.load(folder / "policy").id
    if held == verdict.get("incumbent") or (verdict["promoted"] and held == verdict.get("policy")):
        return
    reasons = [] if verdict["promoted"] else verdict["reasons"]
    raise GateRefusedError(folder.name, reasons or ["its verdict is about another policy"])


def _verdict(folder: Path) -> dict[str, Any] | None:
    path = folder / VERDICT
    if not path.exists():
        return None
    verdict: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return verdict
