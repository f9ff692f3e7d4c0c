"""The card's section on the reward: does what is learned from follow what people say?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rapport.card.document import Line, Section, Status, not_measured, worst

REWARD_FILE = "reward.json"
_TITLE = "Does the reward follow what people say?"
_ALL = "rank correlation with the relief people tell of, failed dialogues among them"
_RETAINED = "the same, among those alone that did not fail"
_NOT_SHOWN: Mapping[Status, str] = {
    "too little data": "none is shown",
    "not measured": "was not measured",
}
_COMMAND = "rapport evaluate reward --data ESCONV"


def reward_section(folder: Path) -> Section:
    """What the weights of a release's reward rest on, as its `reward.json` states it.

    Each channel has two lines, of all dialogues and of those that did not fail. A channel that
    weighs and is not shown to follow the relief people tell of is refused; one that is shown to do
    so only while failed dialogues are among them has too little data: telling a failure from the
    rest is less than following relief. One that is set by judgement is named.
    """
    path = folder / REWARD_FILE
    stated: Mapping[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    evidence, weights = stated.get("evidence") or {}, stated.get("weights") or {}
    if not evidence:
        reason = f"not measured: the release states no evidence for its weights; {_COMMAND}"
        return not_measured("reward", _TITLE, "helps", reason)
    lines = tuple(
        line
        for name, found in sorted(evidence.items())
        for line in _lines(name, found, weights.get(name, 0.0))
    )
    spoken = sorted(name for name, weight in weights.items() if weight and name not in evidence)
    status = worst(line.status for line in lines if line.status)
    return Section(
        name="reward",
        title=_TITLE,
        question="helps",
        status=status,
        reason=_reason(status, lines),
        interval="95 % interval over dialogues",
        lines=lines,
        notes=(
            "the reward of a reply is a proxy: these correlations say how far it may be believed; "
            f"{_COMMAND} measures it again",
            *(
                (f"weighed by judgement, no survey beside them: {', '.join(spoken)}",)
                * bool(spoken)
            ),
        ),
    )


def _reason(status: Status, lines: Sequence[Line]) -> str:
    """Why, naming the channels that are not shown to follow relief among retained dialogues."""
    at = [line.group.removeprefix("channel/") for line in lines if line.status == status]
    names = ", ".join(dict.fromkeys(at))
    reasons: Mapping[Status, str] = {
        "passed": "every channel that was measured follows the relief that people tell of",
        "refused": f"{names}: weighs, and is not shown to follow the relief people tell of",
        "too little data": f"{names}: follows the relief that people tell of only while failed "
        "dialogues are counted; among the others none is shown",
        "not measured": f"{names}: measured only with failed dialogues among them",
    }
    return reasons[status] if lines and names else "no channel that weighs was measured"


def _lines(name: str, found: Mapping[str, Any], weight: float) -> tuple[Line, Line]:
    shown: Status = "passed" if found["low"] > 0 else "refused"
    retained: Mapping[str, Any] = found.get("retained") or {}
    alone: Status = "not measured"
    if retained:
        alone = "passed" if retained["low"] > 0 else "too little data"
    note = f"weight {weight:g}"
    return (
        _line(name, _ALL, found, status=shown if weight else None, note=note),
        _line(
            name,
            _RETAINED,
            retained,
            status=alone if weight else None,
            note=note if alone == "passed" else f"{note}; {_NOT_SHOWN[alone]}",
        ),
    )


def _line(
    name: str, metric: str, found: Mapping[str, Any], *, status: Status | None, note: str
) -> Line:
    return Line(
        group=f"channel/{name}",
        metric=metric,
        estimate=found.get("rho"),
        low=found.get("low"),
        high=found.get("high"),
        n=found.get("n", 0),
        bound=0.0,
        status=status,
        note=note,
    )
