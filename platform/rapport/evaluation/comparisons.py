"""The gate's comparisons as terms to resample: a gain each, and the bound it has to exceed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from rapport.evaluation import diagnostics
from rapport.evaluation.estimators import (
    Log,
    dr_gain_terms,
    dr_terms,
    importance_weights,
    logging_terms,
    snips_gain_terms,
)
from rapport.evaluation.evidence import Evidence, Reading, restrained_log
from rapport.evaluation.influence import restrained
from rapport.evaluation.intervals import FloatArray, Terms, distinct
from rapport.evaluation.verdict import (
    FIRST,
    OBSERVED,
    TOO_LITTLE,
    Change,
    GateSettings,
    Row,
    is_group,
)

MIN_USERS = 20
"""Below, resampling users understates the interval."""

_FAR = "this log is too far from the first release's policy"

Key = tuple[str, str]
"""Group and estimator of a comparison."""


@dataclass(frozen=True)
class Comparison:
    """One gain under every reading of silence."""

    bound: float
    terms: Mapping[str, Terms]
    """By reading, `OBSERVED` first."""


def comparisons(
    read: Mapping[str, Reading], settings: GateSettings
) -> tuple[dict[Key, Comparison], list[Row]]:
    """What a candidate has to hold against, and the rows of what cannot be compared."""
    seen, target = read[OBSERVED].evidence, read[OBSERVED].target
    scant = {*seen.kept, *scant_groups(seen, target, settings)}
    gains = {name: _gains(each, settings, scant=scant) for name, each in read.items()}
    bounds = {key: _bound(key[0], settings, seen.change) for key in gains[OBSERVED]}
    found = {
        key: Comparison(bound, {name: terms[key] for name, terms in gains.items()})
        for key, bound in bounds.items()
    }
    return found, _skipped(seen, target, settings, scant=scant)


def scant_groups(evidence: Evidence, target: FloatArray, settings: GateSettings) -> tuple[str, ...]:
    """Groups (`kind/label`) in which too few users reported for a judgement of this target."""
    heard = ~np.isnan(evidence.log.reward)
    seen, log = target[heard], restrained_log(evidence.log.rows(heard), most=settings.user_cap)
    weight = importance_weights(log, seen, clip=settings.clip)
    groups = {name: rows[heard] for name, rows in evidence.members.items()}
    return tuple(
        name
        for name, rows in groups.items()
        if _group_ess(log, weight, rows, settings) < settings.group_ess
        or _users(log, rows) < MIN_USERS
    )


def _gains(reading: Reading, settings: GateSettings, *, scant: set[str]) -> dict[Key, Terms]:
    seen, target, clip = reading.evidence, reading.target, settings.clip
    log, q_hat = seen.log, seen.q_hat
    gain = dr_gain_terms(log, target, q_hat, clip=clip)
    found: dict[Key, Terms] = {
        ("overall", "snips"): snips_gain_terms(log, target, clip=clip),
        ("overall", "dr"): gain,
    }
    for name, rows in seen.members.items():
        if name not in scant:
            found[name, "dr"] = _of_group(gain, rows, settings)
    value = dr_terms(log, target, q_hat, clip=clip)
    if seen.first is not None:
        since = value.minus(dr_terms(log, seen.first, q_hat, clip=clip))
        found[FIRST, "dr"] = since
        told = _told_of_first(seen, settings, scant=scant)
        found |= {
            (_since(name), "dr"): _of_group(since, rows, settings) for name, rows in told.items()
        }
    if _has_control(seen.control):
        # Control users are other people, dealt by hash: the difference is between groups.
        found["control", "dr"] = value.minus_apart(logging_terms(seen.control))
    return found


def _bound(group: str, settings: GateSettings, change: Change) -> float:
    if group == "overall":
        # A choice of arms that is no other one cannot be better, and need not be.
        return -settings.margin if change == "generator" else 0.0
    return -settings.margin if is_group(group) else -settings.drift


def _since(name: str) -> str:
    return f"{FIRST}, {name}"


def _told_of_first(
    seen: Evidence, settings: GateSettings, *, scant: set[str]
) -> dict[str, NDArray[np.bool_]]:
    """Judged groups whose rows say enough of the first release's policy, too."""
    if seen.first is None:
        return {}
    weight = importance_weights(seen.log, seen.first, clip=settings.clip)
    return {
        name: rows
        for name, rows in seen.members.items()
        if name not in scant and _group_ess(seen.log, weight, rows, settings) >= settings.group_ess
    }


def _skipped(
    seen: Evidence, target: FloatArray, settings: GateSettings, *, scant: set[str]
) -> list[Row]:
    weight = importance_weights(seen.log, target, clip=settings.clip)
    groups = seen.members
    told = _told_of_first(seen, settings, scant=scant)
    skipped = [
        Row(
            group=name,
            estimator="dr",
            status="skipped",
            n=int(rows.sum()),
            users=_users(seen.log, rows),
            ess=_group_ess(seen.log, weight, rows, settings),
            note=TOO_LITTLE,
        )
        for name, rows in groups.items()
        if name in scant
    ]
    if not groups:
        skipped.append(_absent("groups", "no persona or group is declared"))
    if seen.first is None:
        skipped.append(_absent(FIRST, seen.first_note))
    else:
        skipped += [_absent(_since(name), _FAR) for name in groups if name not in {*scant, *told}]
    if not _has_control(seen.control):
        skipped.append(_absent("control", f"fewer than {MIN_USERS} control users reported"))
    return skipped


def _of_group(terms: Terms, rows: NDArray[np.bool_], settings: GateSettings) -> Terms:
    """Means over a group's rows, in which again no user counts for much more than the average."""
    part = terms.rows(rows)
    stands = part.denominator[0]
    held = restrained(stands, part.user, most=_in_group(settings))
    return part if held is stands else part.scaled(held / stands)


def _group_ess(
    log: Log, weight: FloatArray, rows: NDArray[np.bool_], settings: GateSettings
) -> float:
    """Effective sample of a group, as its comparison weighs its rows."""
    stands = restrained(log.weight[rows], log.user[rows], most=_in_group(settings))
    return diagnostics.ess(weight[rows] * stands)


def _in_group(settings: GateSettings) -> float:
    # People pass through a persona: counting one who spent a turn in it like one who lives there
    # was seen to leave no persona of a demo enough data.
    return max(2.0, settings.user_cap)


def _absent(group: str, note: str) -> Row:
    return Row(group, "dr", "skipped", n=0, users=0, ess=0.0, note=note)


def _has_control(control: Log | None) -> TypeGuard[Log]:
    return control is not None and len(distinct(control.user)) >= MIN_USERS


def _users(log: Log, rows: NDArray[np.bool_]) -> int:
    return len(distinct(log.user[rows]))
