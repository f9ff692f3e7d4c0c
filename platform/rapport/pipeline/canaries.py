"""A canary from start to end: published, looked at, and promoted, rolled back, or left to go on."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rapport.canaries import Canary, Rules, begin, end, running, stated
from rapport.errors import ConfigError
from rapport.evaluation.canary import CanarySettings, CanaryVerdict, Decision, judge
from rapport.governance.tenants import load_tenants
from rapport.home import Home, home_of
from rapport.lake import Lake, lake_of
from rapport.pipeline.canary_users import panel_of
from rapport.pipeline.ports import newest_candidate
from rapport.pipeline.promotion import let_serve, promote_judged, record
from rapport.pipeline.promotion_plan import composed, described_release, plan_of
from rapport.pipeline.settings import PromoteConfig
from rapport.pipeline.shadows import shadow_report
from rapport.release import alias_of, current, find, publish, stage, verify
from rapport.scratch import replace_text


@dataclass(frozen=True)
class Looked:
    """What a look at a canary found."""

    canary: Canary
    verdict: CanaryVerdict | None
    """None for a shadow."""
    decision: Decision
    reasons: tuple[str, ...]
    shadow: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """What was found, as plain JSON types."""
        return {
            "canary": self.canary.model_dump(mode="json"),
            "alias": alias_of(self.canary.release),
            "decision": self.decision,
            "reasons": list(self.reasons),
            "verdict": self.verdict.to_json() if self.verdict else None,
            "shadow": self.shadow,
        }


def promote_release(config: PromoteConfig) -> dict[str, Any]:
    """The stage `promote_release`: look at the canary under way, then publish what was judged.

    While a canary goes on nothing else is promoted: that would end it without a result.
    """
    home, lake = home_of(config), lake_of(config)
    found = act(home, lake, now=datetime.now(UTC))
    if found is None or not found.canary.share or found.decision == "roll back":
        return promote_judged(home, lake, candidate=config.candidate)
    serving = current(home.releases)
    assert serving is not None
    waits = found.decision == "go on"
    said = f"canary {found.canary.release} " + ("goes on" if waits else "was promoted")
    return {
        "release": serving.name,
        "alias": alias_of(serving.name),
        "policy": "serving" if waits else "candidate",
        "refused": False,
        "reasons": [said, *found.reasons],
        "changes": {},
        "user_states": 0,
    }


def start(home: Home, lake: Lake, name: str, rules: Rules, *, now: datetime) -> Canary:
    """Try a judged candidate, or a published release, beside the one that serves.

    Of a candidate that the gate refused the rest is tried, with the incumbent's policy.

    Args:
        home: Where releases and candidates lie.
        lake: Told of what is published.
        name: Whole id of a candidate, or id or alias of a release.
        rules: On which share of the users, for how long, and what it must show.
        now: UTC.

    Raises:
        ConfigError: Nothing serves yet, a canary runs already, or this is the release that serves.
        GateRefusedError: A published release holds a policy that the gate refused or never saw.
    """
    serving, under_way = current(home.releases), running(home.releases)
    if serving is None:
        raise ConfigError("release", name, "none serves yet to try it against: promote it")
    if under_way is not None:
        remedy = "one is tried at a time: end it with rapport release canary --stop"
        raise ConfigError("release", under_way.release, remedy)
    release = _published(home, lake, name)
    if release == serving.name:
        raise ConfigError("release", release, "it serves already")
    canary = Canary(release=release, against=serving.name, since=now, **rules.model_dump())
    begin(home.releases, canary)
    return canary


def look(home: Home, lake: Lake, *, now: datetime) -> Looked | None:
    """Say what becomes of the canary under way, and change nothing; none where none is."""
    canary = running(home.releases)
    if canary is None:
        return None
    if not canary.share:
        return Looked(canary, None, "go on", (), shadow_report(lake, canary))
    panel = panel_of(lake, canary, load_tenants(home.tenants), now=now)
    verdict = judge(panel, CanarySettings(alpha=canary.alpha, margin=canary.margin))
    decision, reasons = verdict.decision, verdict.reasons
    if verdict.users and not any(verdict.reporting.values()):
        reasons = (_unrewarded(canary), *reasons)
    if decision == "go on" and now >= canary.until:
        late = f"{canary.days:g} days did not decide it, so the old release stays"
        decision, reasons = "roll back", (late, *reasons)
    return Looked(canary, verdict, decision, reasons)


def _unrewarded(canary: Canary) -> str:
    return (
        f"no settled user has a reward: compute_rewards must run within {canary.wait_h:g} hours "
        "after a user's decisions"
    )


def act(home: Home, lake: Lake, *, now: datetime) -> Looked | None:
    """Look, then promote or roll back where the look says so; every step may be repeated."""
    found = look(home, lake, now=now)
    if found is None:
        if stated(home.releases) is not None:
            end(home.releases)  # its opponent serves no more
        return None
    if found.decision == "go on":
        return found
    _keep(home, found, now=now)
    if found.decision == "promote":
        let_serve(home, lake, found.canary.release)
    end(home.releases)
    return found


def _published(home: Home, lake: Lake, name: str) -> str:
    """Id of the release to try; a candidate is published, and not promoted."""
    if newest_candidate(home, name) is None:
        folder = find(home.releases, name)
        described_release(folder, home)
        return folder.name
    plan = plan_of(home, lake, candidate=name)
    if plan.policy is None:
        raise ConfigError("candidate", name, "; ".join(plan.reasons))
    with composed(plan, home) as folder:
        staged = stage(folder, home.releases)
        release = publish(staged, home.releases, origin=plan.origin, metrics=plan.metrics)
    record(lake, verify(home.releases / release))
    shutil.rmtree(home.releases / ".candidates" / plan.folder.name, ignore_errors=True)
    return release


def _keep(home: Home, found: Looked, *, now: datetime) -> None:
    """Keep what ended a canary: `work/canaries/<release>.json`."""
    folder = home.work / "canaries"
    folder.mkdir(parents=True, exist_ok=True)
    told = {**found.to_json(), "ended": now.isoformat()}
    replace_text(folder / f"{found.canary.release}.json", json.dumps(told, indent=1) + "\n")
