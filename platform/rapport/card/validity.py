"""The card's section on the reward: does what is learned from follow what people say?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rapport.card.document import Line, Section, Status, not_measured, worst

REWARD_FILE = "reward.json"
_TITLE = "Does the reward follow what people say?"
_COMMAND = "rapport evaluate reward --data ESCONV"


def reward_section(folder: Path) -> Section:
    """What the weights of a release's reward rest on, as its `reward.json` states it.

    A channel whose correlation with the relief people tell of is not shown to be above 0 is
    refused where it weighs anything; one that is set by judgement is named.
    """
    path = folder / REWARD_FILE
    stated: Mapping[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    evidence, weights = stated.get("evidence") or {}, stated.get("weights") or {}
    if not evidence:
        reason = f"not measured: the release states no evidence for its weights; {_COMMAND}"
        return not_measured("reward", _TITLE, "helps", reason)
    lines = tuple(
        _line(name, found, weights.get(name, 0.0)) for name, found in sorted(evidence.items())
    )
    spoken = sorted(name for name, weight in weights.items() if weight and name not in evidence)
    status = worst(line.status for line in lines if line.status)
    reasons = {
        "passed": "every channel that was measured follows the relief that people tell of",
        "refused": "a channel weighs that was not shown to follow the relief people tell of",
    }
    return Section(
        name="reward",
        title=_TITLE,
        question="helps",
        status=status,
        reason=reasons.get(status, "no channel that weighs was measured"),
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


def _line(name: str, found: Mapping[str, Any], weight: float) -> Line:
    shown: Status = "passed" if found["low"] > 0 else "refused"
    return Line(
        group=f"channel/{name}",
        metric="rank correlation with the relief people tell of",
        estimate=found["rho"],
        low=found["low"],
        high=found["high"],
        n=found["n"],
        bound=0.0,
        status=shown if weight else None,
        note=f"weight {weight:g}",
    )
