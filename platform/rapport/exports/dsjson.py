"""Decisions as Vowpal Wabbit's dsjson, one object a line.

`_label_cost` is minus the reward, `_labelIndex` the place of the action among `c._multi`, `a` the
actions from 1 on with the taken one first, and `p` their probabilities in that order. An action has
its arm as a word and its name as `_tag`. A decision that nothing came back for has no cost and says
`_skipLearn`. Numbers are written so that reading gives back every bit. `rapport` holds what the
format has no place for; Vowpal Wabbit passes over it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rapport.canaries import SHADOW
from rapport.errors import DataError
from rapport.exports.rows import Decisions, Logged
from rapport.policy.foreign_features import as_key

_KEPT = ("mode", "policy_id", "policy_version", "agent_id", "turn_index")


def dsjson_line(logged: Logged) -> str:
    """One decision as a line, without its end.

    Raises:
        DataError: A feature is no finite number.
    """
    try:
        return json.dumps(_event(logged), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        what = f"decision {logged.row['decision_id']} has a feature that is no finite number"
        raise DataError(what, "erase or correct it") from error


def write_dsjson(decisions: Decisions, file: Path) -> dict[str, Any]:
    """Write a tenant's decisions, one a line.

    Returns:
        `decisions` written, how many of them are `silent`, and what was `left_out`, by reason.
    """
    written, silent = 0, 0
    with file.open("w", encoding="utf-8") as text:
        for one in decisions:
            text.write(dsjson_line(one) + "\n")
            written += 1
            silent += one.reward is None
    return {"decisions": written, "silent": silent, "left_out": dict(decisions.left_out)}


def _event(logged: Logged) -> dict[str, Any]:
    row = logged.row
    candidates, taken = row["candidates"], row["action_index"]
    order = [taken, *(place for place in range(len(candidates)) if place != taken)]
    label: dict[str, Any] = {"_label_cost": -logged.reward} if logged.reward is not None else {}
    return {
        **label,
        "_label_probability": row["propensity"],
        "_label_Action": taken + 1,
        "_labelIndex": taken,
        **({} if label else {"_skipLearn": True}),
        "Timestamp": row["ts"].isoformat().replace("+00:00", "Z"),
        "Version": "1",
        "EventId": row["decision_id"],
        "a": [place + 1 for place in order],
        "c": {**_named(logged.features), "_multi": [_action(one) for one in candidates]},
        "p": [candidates[place]["probability"] for place in order],
        "VWState": {"m": row["policy_version"] or "N/A"},
        "rapport": {
            **{name: row[name] for name in _KEPT},
            "user_id": row["user_id"],
            "conversation_id": row["episode_id"],
            "age_band": row["groups"].get("age_band"),
            "explored": row["explored"],
        },
    }


def _action(candidate: Mapping[str, Any]) -> dict[str, Any]:
    told = {"_tag": candidate["candidate_id"]}
    arm = {} if candidate["arm"] is None else {"arm": candidate["arm"]}
    return {**told, **arm, **_named(_own(candidate["features"] or {}))}


def _own(features: Mapping[str, float]) -> Mapping[str, float]:
    """Features of the action itself, without what another release thought of it."""
    return {name: value for name, value in features.items() if not name.startswith(SHADOW)}


def _named(features: Mapping[str, float]) -> dict[str, float]:
    return {as_key(name): value for name, value in features.items()}
