"""The stage `propose_nudges`: whom to speak to unasked, about which task, how, or not now."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from rapport.governance.contact import Person, refusal
from rapport.governance.tenants import TenantPolicy, load_tenants, policy_of
from rapport.home import home_of
from rapport.lake import Lake, lake_of
from rapport.pipeline.nudge_tasks import open_tasks
from rapport.pipeline.policies import latest_rewards
from rapport.pipeline.settings import NudgeConfig
from rapport.policy.nudge_rows import POLICY, Nudge, nudge_in, nudge_row
from rapport.policy.nudging import FEATURES, Nudged, NudgePolicy, fit_nudges, kinds_of
from rapport.schema import CRISIS_FACET
from rapport.store import Store, open_store

_CRISIS = timedelta(days=7)
"""How long nobody is nudged after a message of crisis."""
_MEMORY = timedelta(days=2)
"""How far back earlier nudges are looked for; longer than a day and than any pause."""
_HELD = 200
_SEEDS = 2**53
_NO_TIME = "no time left"


@dataclass(frozen=True)
class Desk:
    """All that proposing needs to know beside the tasks."""

    tenant: TenantPolicy
    policy: NudgePolicy
    people: Mapping[str, Person]
    """By keyed user."""
    past: Mapping[str, Sequence[Nudge]]
    """Earlier decisions of the last two days, by keyed user."""
    again: timedelta
    """Least time between two decisions about one task."""
    in_crisis: frozenset[str] = frozenset()
    deadline: float = float("inf")
    """Of `time.monotonic()`; who was not looked at by then waits for the next run."""
    refused: Counter[str] = field(default_factory=Counter)
    """Users who may not be written to, by why."""


def propose_nudges(config: NudgeConfig) -> dict[str, Any]:
    """Decide about every open task whose user may be written to now, and log each decision.

    The decisions go to the store, where `GET /v1/nudges` and feedback find them, and with
    everything else to the lake. Running it again at once decides nothing twice.
    """
    home, lake = home_of(config), lake_of(config)
    now = config.now or datetime.now(UTC)
    tasks = open_tasks(lake, tenant=config.tenant, now=now)
    policy = fit_nudges(_past(lake, config.tenant))
    store = open_store(home.store_url)
    try:
        desk = _desk(store, lake, tasks, policy, config=config, now=now)
        rows = list(proposed(tasks.to_dicts(), desk, now=now, seed=config.seed))
        store.commit([("decisions", row) for row in rows])
    finally:
        store.close()
    kinds = Counter(row["candidates"][row["action_index"]]["arm"] for row in rows)
    return {
        "tasks": tasks.height,
        "decisions": len(rows),
        "arms": dict(kinds.most_common()),
        "not_written_to": dict(desk.refused.most_common()),
        "policy": policy.id,
        "left": desk.refused[_NO_TIME],
    }


def proposed(
    tasks: Iterable[Mapping[str, Any]], desk: Desk, *, now: datetime, seed: int
) -> Iterable[dict[str, Any]]:
    """Rows of the decisions to make now, the most urgent task of each user first.

    Args:
        tasks: Rows of `open_tasks`.
        desk: What is known beside them.
        now: When.
        seed: With the moment, of all draws.
    """
    draws = np.random.default_rng([seed, int(now.timestamp() * 1e6)])
    by_user: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for task in tasks:
        by_user[task["user_id"]].append(task)
    for user, own in by_user.items():
        if time.monotonic() > desk.deadline:
            desk.refused[_NO_TIME] += 1
            continue
        past = list(desk.past.get(user, ()))
        for task in sorted(own, key=lambda each: -each["urgency"]):
            known = [one for one in past if one.task_id == task["task_id"]]
            if any(now - one.at < desk.again for one in known):
                continue
            why = _why_not(user, past, desk, now=now)
            if why:
                desk.refused[why] += 1
                break
            row = _decided(task, desk, now=now, seed=int(draws.integers(_SEEDS)))
            yield row
            past += [nudge for nudge in [nudge_in(row)] if nudge]


def _why_not(user: str, past: Sequence[Nudge], desk: Desk, *, now: datetime) -> str | None:
    if user in desk.in_crisis:
        return "crisis"
    contacts = tuple(one.at for one in past if one.speaks)
    return refusal(desk.tenant, desk.people[user], now, contacts=contacts)


def _decided(task: Mapping[str, Any], desk: Desk, *, now: datetime, seed: int) -> dict[str, Any]:
    person = desk.people[task["user_id"]]
    explore = desk.tenant.may_explore(person.age_band) and "experiment" in (person.purposes or ())
    state = np.array([[task[name] for name in FEATURES]])
    rec, probability = desk.policy.probabilities(state, explore=np.array([explore]))
    return nudge_row(
        task,
        now=now,
        rec=rec[0],
        probability=probability[0],
        seed=seed,
        policy_id=desk.policy.id,
    )


def _desk(
    store: Store,
    lake: Lake,
    tasks: pl.DataFrame,
    policy: NudgePolicy,
    *,
    config: NudgeConfig,
    now: datetime,
) -> Desk:
    tenant, since = config.tenant, now - _MEMORY
    declared = tasks.unique("user_id", keep="last", maintain_order=True).to_dicts()
    profiles = _profiles(lake, tenant)
    people, past = {}, {}
    for row in declared:
        user = row["user_id"]
        own = store.user(tenant, user) or profiles.get(user)
        people[user] = Person.of(
            dict(own["attributes"]) if own else None,
            purposes=row["purposes"],
            age_band=dict(row["groups"] or ()).get("age_band"),
        )
        rows = store.decisions(tenant, user_id=user, since=since, limit=_HELD)
        past[user] = [nudge for nudge in map(nudge_in, rows) if nudge]
    crisis = lake.scan("turns", purpose="serve").filter(
        pl.col("tenant") == tenant, pl.col("facet") == CRISIS_FACET, pl.col("ts") > now - _CRISIS
    )
    return Desk(
        tenant=policy_of(load_tenants(home_of(config).tenants), tenant),
        policy=policy,
        people=people,
        past=past,
        again=timedelta(hours=config.again_h),
        deadline=time.monotonic() + (config.seconds or math.inf),
        in_crisis=frozenset(crisis.select("user_id").unique().collect()["user_id"]),
    )


def _profiles(lake: Lake, tenant: str) -> dict[str, dict[str, Any]]:
    """The latest profile of every user whom the lake has one of."""
    rows = lake.scan("users").filter(pl.col("tenant") == tenant).sort("ts")
    latest = rows.unique("user_id", keep="last", maintain_order=True).collect()
    return {row["user_id"]: row for row in latest.to_dicts()}


def _past(lake: Lake, tenant: str) -> Nudged | None:
    """What nudges earned so far, of users who agreed to training."""
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct.field("arm")
    rows = (
        lake.scan("decisions", purpose="train")
        .filter(pl.col("tenant") == tenant, pl.col("policy_id").str.starts_with(POLICY))
        .select(
            "decision_id",
            "propensity",
            arm=taken,
            **{name: pl.col("features").map.get(name) for name in FEATURES},
        )
        .collect()
    )
    if rows.is_empty():
        return None
    known = rows.join(latest_rewards(lake), on="decision_id", how="left", maintain_order="left")
    return Nudged(
        state=known.select(FEATURES).to_numpy().astype(np.float64),
        arm=kinds_of(known["arm"].to_list()),
        propensity=known["propensity"].to_numpy(),
        reward=known["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
    )
