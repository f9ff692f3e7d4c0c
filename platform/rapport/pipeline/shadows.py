"""What a shadow would have done: how far it agrees with what was served, and what it would earn."""

from typing import Any

import numpy as np
import polars as pl

from rapport.canaries import SHADOW, Canary
from rapport.evaluation.estimators import Log, logging_terms, snips_gain_terms, snips_terms
from rapport.evaluation.intervals import estimate
from rapport.lake import Lake
from rapport.pipeline.canary_users import PURPOSE

MIN_USERS = 20


def shadow_report(lake: Lake, canary: Canary) -> dict[str, Any]:
    """Compare a shadow with the release that served, on the decisions it stood beside.

    Returns:
        `decisions` it stood beside; `agreement`, the mean share of probability on which both
        agree (1 where they are one policy); `same_best`, how often both hold the same arm
        likeliest; `failed`, decisions it could not take. Where at least 20 users answered, `value`,
        `served` and `gain` in reward units a decision with 95 % intervals over users, by
        self-normalised importance sampling: of its policy, not of the replies it would have had.
    """
    rows = _decisions(lake, canary)
    name, served, other = f"{SHADOW}{canary.release}", [], []
    kept = []
    for place, candidates in enumerate(rows["candidates"].to_list()):
        chances = [_feature(one, name) for one in candidates]
        if None not in chances:
            kept.append(place)
            served.append(np.array([one["probability"] for one in candidates]))
            other.append(np.array(chances, dtype=np.float64))
    failed = int(rows["degraded"].fill_null("").str.contains("shadow:failed").sum())
    report: dict[str, Any] = {"decisions": len(kept), "failed": failed}
    if not kept:
        return report
    pairs = list(zip(served, other, strict=True))
    report["agreement"] = float(np.mean([np.minimum(p, s).sum() for p, s in pairs]))
    report["same_best"] = float(np.mean([p.argmax() == s.argmax() for p, s in pairs]))
    return report | _worth(lake, rows[kept], pairs)


def _worth(
    lake: Lake, rows: pl.DataFrame, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    rewards = lake.scan("rewards", purpose=PURPOSE).sort("reward_version", "as_of")
    latest = rewards.group_by("decision_id").agg(pl.col("value").last()).collect()
    known = rows.select("decision_id").join(
        latest, on="decision_id", how="left", maintain_order="left"
    )
    reward = known["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    full = rows["delivered"].eq("full").to_numpy() & ~np.isnan(reward)
    if len(np.unique(rows["user_id"].to_numpy()[full])) < MIN_USERS:
        return {}
    taken = rows["action_index"].to_numpy()
    p, s = (
        np.array([pair[side][at] for pair, at in zip(pairs, taken, strict=True)]) for side in (0, 1)
    )
    log = Log(np.zeros(len(taken), dtype=np.intp), reward, p, rows["user_id"].to_numpy())
    # Two actions: the arm taken, and all others; no more of a policy enters the weights.
    log, target = log.rows(full), np.stack([s, 1.0 - s], axis=1)[full]
    terms = {
        "value": snips_terms(log, target),
        "served": logging_terms(log),
        "gain": snips_gain_terms(log, target),
    }
    found = {key: estimate(each) for key, each in terms.items()}
    told = {
        key: {"estimate": one.value, "low": one.low, "high": one.high, "n": one.n}
        for key, one in found.items()
    }
    return {**told, "ess": found["value"].ess}


def _decisions(lake: Lake, canary: Canary) -> pl.DataFrame:
    columns = ("decision_id", "user_id", "candidates", "action_index", "delivered", "degraded")
    found = lake.scan("decisions", purpose=PURPOSE).filter(
        pl.col("ts") >= canary.since, pl.col("release_id") == canary.against
    )
    return found.select(columns).unique("decision_id", maintain_order=True).collect()


def _feature(candidate: dict[str, Any], name: str) -> float | None:
    return dict(candidate["features"] or ()).get(name)
