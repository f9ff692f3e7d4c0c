"""The codes of decision rows in words."""

from collections.abc import Mapping
from typing import Any

from rapport.explanation.shape import Reason
from rapport.policy.behaviour import DISTRESS
from rapport.policy.control import CONTROL_SHARE, in_control
from rapport.policy.recall import SENTIMENT
from rapport.schema import CRISIS_FACET

_MODES = {
    "arm_first": "the kind of reply was drawn first, then written",
    "rerank": "several replies were written and ranked, and one of them was drawn",
    "rank": "the client's own actions, or the menu's kinds of reply, were ranked and one was drawn",
    "observe": "nothing was changed: what would have been drawn, if anything, was only logged",
    "control": "answered without personalisation",
}
_DELIVERED = {
    "full": "what was chosen is what the user got",
    "guard_replaced": "an approved reply went out in place of one that must not leave",
    "fallback": "an approved reply stood in, or the reply broke off",
    "pinned": "the request named the persona or the model itself",
    "control": "the plain reply",
    "observed": "the reply passed unchanged",
    "tool_call": "the reply was a call of a tool, which passes unchanged",
    "structured": "the reply had to be structured output, which passes unchanged",
}
_DEGRADED = {
    "arms:off": "every kind of reply of this agent was switched off",
    "affect:language": "the message is in a language whose affect is not read, so none counted",
    "adapter:protected": "a protected user gets no adapter, so the base model answered",
    "policy:nlp_alone": "the policy could not be asked, so the fit to the context decided alone",
    "policy:missing": "the release held no policy, so kinds of reply were drawn evenly",
    "rerank:no_release": "no release served, so replies could not be ranked",
    "rerank:engine": "candidates were missing: the model did not write them in time",
    "rerank:guard": "the guard left fewer than two candidates",
    "rerank:unscored": "the fit to the context could not be measured in time, so rec alone decided",
    "rerank:no_discriminator": "the release does not measure fit of texts, so rec alone decided",
    "engine": "the model did not answer, so an approved reply stood in",
    "abandoned": "the process that said the reply ended, or nobody said that it counts",
    "client_gone": "the client left before the reply was whole",
    "failed": "the reply broke off",
}


def mode_reason(row: Mapping[str, Any]) -> Reason:
    """What the decision's mode means."""
    return Reason(code=row["mode"], meaning=_MODES.get(row["mode"], row["mode"]))


def delivered_reason(row: Mapping[str, Any]) -> Reason:
    """What became of what was chosen."""
    return Reason(code=row["delivered"], meaning=_DELIVERED.get(row["delivered"], row["delivered"]))


def degraded_reasons(row: Mapping[str, Any]) -> list[Reason]:
    """What went less well, each by itself."""
    return [
        Reason(code=code, meaning=_DEGRADED.get(code, _other(code)))
        for code in filter(None, (row["degraded"] or "").split(", "))
    ]


def guard_reason(code: str) -> Reason:
    """Why a candidate stayed out of the draw."""
    if code == "excluded":
        return Reason(code=code, meaning="the client excluded it this time")
    if code == CRISIS_FACET:
        return Reason(code=code, meaning="the message spoke of a crisis")
    kind, _, rule = code.partition(":")
    found = f", by its rule {rule}" if rule else ""
    return Reason(code=code, meaning=f"the output guard found {kind.replace('_', ' ')}{found}")


def not_drawn(row: Mapping[str, Any], *, scored: bool) -> str | None:
    """Why nothing was drawn; none where something was.

    Args:
        row: Of the table `decisions`, as far as it may be read.
        scored: Whether its candidates have both scores.
    """
    if scored:
        return None
    if any(each["guard"] == CRISIS_FACET for each in row["candidates"]):
        return (
            "The message spoke of a crisis: the approved crisis reply was given, and neither "
            "policy nor adapter was asked."
        )
    if row["source"] != "serve":
        return _of_a_log(row)
    return f"Nothing was drawn: {_plain_reply(row)}."


def no_chance(row: Mapping[str, Any]) -> str:
    """What is known of why nothing was left to chance."""
    sentiment = dict(row["features"] or {}).get(SENTIMENT)
    if "experiment" not in row["purposes"]:
        return "the user did not agree to experiments, or is protected"
    if sentiment is not None and sentiment <= DISTRESS:
        return f"the message was in distress (sentiment {sentiment:+.2f}, {DISTRESS:g} or less)"
    return "the tenant explores on nobody like this user, or the message asked for care"


def _plain_reply(row: Mapping[str, Any]) -> str:
    delivered = row["delivered"]
    if delivered in ("tool_call", "structured"):
        return _DELIVERED[delivered]
    if row["mode"] == "control":
        return _why_control(row)
    if delivered == "pinned":
        return "the request named a model or an adapter, which answered as it is"
    if delivered == "observed":
        return "the exchange was observed, and its reply passed unchanged"
    return f"the exchange was only observed, but {_DELIVERED.get(delivered, delivered)}"


def _why_control(row: Mapping[str, Any]) -> str:
    if row["delivered"] == "guard_replaced":
        return "an approved reply was given"
    if "arms:off" in (row["degraded"] or ""):
        return _DEGRADED["arms:off"]
    if in_control(row["user_id"]):
        return (
            f"the user belongs to the control group of {CONTROL_SHARE:.0%}, which is what "
            "personalisation is measured against"
        )
    return "the request asked for the plain reply"


def _of_a_log(row: Mapping[str, Any]) -> str:
    how = {
        "logged": "the log states with which probability its own system chose",
        "estimated": "its probabilities were estimated from the log",
        "simulated": "the simulator states with which probability it chose",
    }.get(row["propensity_source"], "its probabilities came with the log")
    return (
        f"This row was read from a log of the format {row['source']}, not decided here: {how}; "
        "there are no scores behind them to explain."
    )


def _other(code: str) -> str:
    kind, _, what = code.partition(":")
    if kind == "upstream":
        return f"the upstream was {what.replace('_', ' ')}, so an approved reply stood in"
    return code
