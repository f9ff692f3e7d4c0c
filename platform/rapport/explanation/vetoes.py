"""What could not be chosen or used, and why."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rapport.arms import agents, load_menu
from rapport.explanation.reasons import guard_reason
from rapport.explanation.shape import Veto
from rapport.schema import CRISIS_FACET
from rapport.store.switches import Switch

_OFF = "switched off by an operator (rapport release disable)"
_LOG_ONLY = "it exists in logs only and is never served"


def off_at(history: Sequence[Switch], moment: datetime) -> frozenset[tuple[str, str]]:
    """(kind, name) of everything that was switched off at a moment."""
    latest = {(turn.kind, turn.name): turn.off for turn in history if turn.ts <= moment}
    return frozenset(name for name, off in latest.items() if off)


def vetoes(row: Mapping[str, Any], off: frozenset[tuple[str, str]]) -> list[Veto]:
    """Everything that a decision of serving could not choose or use.

    Args:
        row: Of the table `decisions`, as far as it may be read.
        off: What was switched off then.
    """
    if row["source"] != "serve":
        return []
    return [*_candidates(row), *_chancy(row), *_arms(row, off), *_switches(off), *_users(row)]


def drew_arms(row: Mapping[str, Any]) -> bool:
    """Whether the candidates are kinds of reply, drawn before a word was written."""
    ours = all(
        each["candidate_id"].startswith(f"{row['decision_id']}/") for each in row["candidates"]
    )
    return ours and row["mode"] in ("arm_first", "rank", "observe")


def _candidates(row: Mapping[str, Any]) -> Iterator[Veto]:
    for each in row["candidates"]:
        code = each["guard"]
        if code is None:
            continue
        by = {CRISIS_FACET: "crisis", "excluded": "excluded"}.get(code, "guard")
        yield Veto(
            what="candidate", name=each["candidate_id"], by=by, reason=guard_reason(code).meaning
        )


def _arms(row: Mapping[str, Any], off: frozenset[tuple[str, str]]) -> Iterator[Veto]:
    """Arms of the menu that were not offered; a client's own actions have no menu."""
    menus = drew_arms(row) or row["mode"] == "rerank"
    scored = any(each["nlp_score"] is not None for each in row["candidates"])
    if not (menus and scored) or row["agent_id"] not in agents():
        return
    menu, offered = load_menu(row["agent_id"]), {each["arm"] for each in row["candidates"]}
    for arm in menu.arms:
        if not arm.serve:
            yield Veto(what="arm", name=arm.name, by="menu", reason=_LOG_ONLY)
        elif ("arm", arm.name) in off:
            if arm.name not in offered:
                yield Veto(what="arm", name=arm.name, by="switch", reason=_OFF)
        elif drew_arms(row) and arm.name not in offered:
            reason = "it was not on the menu when this was decided"
            yield Veto(what="arm", name=arm.name, by="menu", reason=reason)


def _chancy(row: Mapping[str, Any]) -> Iterator[Veto]:
    safe = safe_arms(row["agent_id"])
    for each in row["candidates"]:
        scored = each["nlp_score"] is not None and each["guard"] is None
        if scored and not each["probability"] and each["arm"] not in (None, *safe):
            reason = "chance alone never takes it, and a safe reply scored better"
            yield Veto(what="candidate", name=each["arm"], by="menu", reason=reason)


def _switches(off: frozenset[tuple[str, str]]) -> Iterator[Veto]:
    for kind, name in sorted(off):
        if kind == "persona":
            yield Veto(what="persona", name=name, by="switch", reason=f"{_OFF}: nobody is routed")
        if kind == "adapter":
            reason = f"{_OFF}: the global one answers"
            yield Veto(what="adapter", name=name, by="switch", reason=reason)


def _users(row: Mapping[str, Any]) -> Iterator[Veto]:
    if row["delivered"] == "control":
        reason = "the plain reply, to measure personalisation against"
        yield Veto(what="user", name="personalisation", by="control", reason=reason)
    elif "experiment" not in row["purposes"]:
        reason = "the user did not agree to experiments, or is protected: nothing is left to chance"
        yield Veto(what="user", name="exploration", by="protection", reason=reason)


def safe_arms(agent_id: str) -> frozenset[str]:
    """Arms of an agent that chance alone may take; none of an agent without a menu."""
    known = load_menu(agent_id).arms if agent_id in agents() else ()
    return frozenset(arm.name for arm in known if arm.safe_to_explore)
