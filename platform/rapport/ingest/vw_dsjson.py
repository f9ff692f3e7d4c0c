"""Format `vw-dsjson`: decisions as Vowpal Wabbit and the Azure Personalizer logged them.

One object a line (`.dsjson`, `.json`, `.jsonl`, `.log`), `.gz` and `.zst` too:

- `c`: features of the situation, and under `_multi` those of each action; see
  `rapport.policy.foreign_features`. An action's word `arm` is its arm where it is one, its `_tag`
  what it is called.
- `a` (from 1 on, the taken one first) and `p`, or `_labelIndex` (or `_label_Action`) with
  `_label_probability`: then the other actions share the rest evenly, and the row says so in its
  features (`rest_filled`).
- `_label_cost`: minus the reward, which must be within -1 and 1. Where `_skipLearn` is true the
  action was never carried out: the decision is kept as `fallback`, and teaches nothing.
- `EventId`, `Timestamp`, `pdrop` (becomes a feature), `VWState.m` (the policy's version).

What `rapport log export vw-dsjson` wrote comes back as it was. Lines with slots (`_slots`) hold
several decisions and are refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rapport.arms import arm_names
from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.decision_batch import Logged, decision_batches
from rapport.ingest.elements import Element, elements
from rapport.ingest.fields import MISSING, Record, real, whole
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import sources
from rapport.policy.foreign_features import ARM, from_key, told

SOURCE = "vw-dsjson"
ENDINGS = (".dsjson", ".json", ".jsonl", ".ndjson", ".log")
_OPENING = re.compile(r'\{\s*"(?:_label_\w+|_labelIndex|Timestamp|Version|EventId)"\s*:')
_OURS = (
    "mode", "policy_id", "policy_version", "agent_id", "turn_index", "user_id", "conversation_id",
    "age_band", "explored",
)  # fmt: skip
_NEAR = 1e-6


def read_vw_dsjson(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read decisions batch by batch.

    Raises:
        ConfigError: A place that nothing can be read from.
    """
    return decision_batches(_records(places), intake, source=SOURCE)


def _records(places: Sequence[str]) -> Iterator[Logged]:
    for file in sources(places, endings=ENDINGS):
        for element in elements(file, opening=_OPENING):
            yield _logged(element, position=f"{file.name} {element.position}")


def _logged(element: Element, *, position: str) -> Logged:
    value = element.value
    whole = isinstance(value, dict)
    shown = _shown(value) if whole else element.text
    if element.problem or not whole:
        return Logged(position, RowError("", element.problem or "is not an object"), shown)
    try:
        return Logged(position, _record(value), shown)
    except RowError as error:
        return Logged(position, error, shown)


def _shown(event: Mapping[str, Any]) -> str:
    return dumped({key: value for key, value in event.items() if key != "rapport"})


def _record(event: Record) -> Record:
    """One event under our names.

    Raises:
        RowError: It is no decision among actions.
    """
    shared = event.get("c")
    if not isinstance(shared, dict) or not isinstance(shared.get("_multi"), list):
        raise RowError("c._multi", MISSING)
    if "_slots" in shared:
        raise RowError("c._slots", "hold several decisions; only one a line is read")
    block = event.get("rapport")
    ours = isinstance(block, dict)
    actions = [_action(one, place, ours=ours) for place, one in enumerate(shared["_multi"])]
    features = _features({k: v for k, v in shared.items() if k != "_multi"}, "c", ours=ours)
    if not actions:
        raise RowError("c._multi", "has no actions")
    taken, shares, filled = _choice(event, len(actions))
    skipped = event.get("_skipLearn") is True
    more = {"rest_filled": 1.0} if filled else {}
    dropped = real(event, "pdrop")
    more |= {"pdrop": dropped} if dropped else {}
    state = event.get("VWState")
    return {
        "policy_version": state.get("m") if isinstance(state, dict) else None,
        "mode": "rank",
        "delivered": "fallback" if skipped and not ours else "full",
        **({name: block.get(name) for name in _OURS} if isinstance(block, dict) else {}),
        "decision_id": event.get("EventId"),
        "timestamp": event.get("Timestamp"),
        "features": features | more,
        "candidates": [{**a, "probability": p} for a, p in zip(actions, shares, strict=True)],
        "action_index": taken,
        "reward": None if skipped else _reward(event),
    }


def _reward(event: Record) -> float | None:
    cost = real(event, "_label_cost")
    return None if cost is None else -cost


def _action(given: object, place: int, *, ours: bool) -> dict[str, Any]:
    where = f"c._multi[{place}]"
    if not isinstance(given, dict):
        raise RowError(where, "is not an object")
    arm = given.get(ARM) if given.get(ARM) in arm_names() else None
    rest = {key: value for key, value in given.items() if arm is None or key != ARM}
    return {
        "candidate_id": given.get("_tag"),
        "arm": arm,
        "features": _features(rest, where, ours=ours),
    }


def _features(given: Mapping[str, Any], where: str, *, ours: bool) -> dict[str, float]:
    if not ours:
        return told([given], where=where).features
    kept = {key: value for key, value in given.items() if not key.startswith("_")}
    return {from_key(key): real(kept, key, where=where) or 0.0 for key in kept}


def _choice(event: Record, count: int) -> tuple[int, list[float], bool]:
    """Which action was taken, every action's probability, and whether the others' are made up."""
    label = real(event, "_label_probability")
    order, stated = event.get("a"), event.get("p")
    if not isinstance(stated, list) or not stated:
        return (*_filled(_place(event), label, count), True)
    places = _places(order, count)
    if places is None or len(stated) != count:
        raise RowError("a", f"does not name each of the {count} actions of p once")
    shares = [0.0] * count
    for place, share in zip(places, stated, strict=True):
        shares[place] = real({"p": share}, "p") or 0.0
    taken = places[0]
    passed = 1.0 - (real(event, "pdrop") or 0.0)
    if label is not None and abs(label - shares[taken] * passed) > _NEAR:
        raise RowError("_label_probability", "is not the taken action's in p")
    return taken, shares, False


def _places(order: object, count: int) -> list[int] | None:
    """Actions counted from 0, the taken one first; none where it is no order of all of them."""
    if not isinstance(order, list) or not all(type(one) is int for one in order):
        return None
    return [one - 1 for one in order] if sorted(order) == list(range(1, count + 1)) else None


def _place(event: Record) -> int:
    place, action = whole(event, "_labelIndex"), whole(event, "_label_Action")
    if place is None and not action:
        raise RowError("_labelIndex", MISSING)
    return place if place is not None else int(action or 1) - 1


def _filled(taken: int, label: float | None, count: int) -> tuple[int, list[float]]:
    if label is None or not 0.0 < label <= 1.0:
        raise RowError("_label_probability", "is missing, 0, or outside 0 to 1")
    if taken >= count:
        raise RowError("_labelIndex", "names no action")
    if count == 1 and label < 1.0:
        raise RowError("_label_probability", "is below 1 with a single action")
    rest = (1.0 - label) / max(count - 1, 1)
    return taken, [label if place == taken else rest for place in range(count)]
