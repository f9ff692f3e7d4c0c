"""The ladder as a command runs it: on what data, read by which scorers, kept for the next card."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from rapport.affect.empathy import load_empathy
from rapport.affect.next_strategy import load_next_strategy
from rapport.card.comparing import Trained
from rapport.card.conduct import about_ladder
from rapport.card.document import Line, Section, Status
from rapport.card.kept import keep
from rapport.card.ladder import LIMIT, STEPS, measure_ladder
from rapport.home import Home
from rapport.measuring.released import Released
from rapport.measuring.result import Result, fingerprint
from rapport.simulation import SimulationConfig, generate, write

_SIMULATED = SimulationConfig(users=120, turns=10, seed=7919)
"""Other people than any demo's: its seed is a prime that nobody types."""
JUDGES = ("fit", "empathy", "defects")


def try_ladder(
    data: Path | None,
    home: Home,
    release: Released,
    *,
    tenant: str = "default",
    limit: int = LIMIT,
) -> Result:
    """Measure the ladder of a release and keep it for the next card of the same adapters.

    Args:
        data: Dialogues; none simulates some.
        home: The release's.
        release: What is measured.
        tenant: Whose users the dialogues are.
        limit: Most messages.
    """
    encoder = release.text_encoder()
    measure = partial(
        measure_ladder,
        home=home,
        release=release,
        tenant=tenant,
        limit=limit,
        trained=Trained(
            load_empathy(home.root, encoder=encoder), load_next_strategy(home.root, encoder=encoder)
        ),
    )
    if data is not None:
        result = measure(data)
    else:
        with tempfile.TemporaryDirectory() as folder:
            simulated = Path(folder) / "simulated"
            write(generate(_SIMULATED), simulated)
            result = replace(measure(simulated), sha256=fingerprint(simulated))
    keep(home, ladder_section(result), about=about_ladder(release.folder))
    return result


def ladder_section(result: Result) -> Section:
    """The card's section about a ladder that was measured.

    It passes where every judge that decides prefers the whole release to the base model beyond
    doubt, and is refused where one of them prefers the base model beyond doubt.
    """
    lines = [line for pair in STEPS for line in _of_pair(result, *pair)]
    lines += [line for name in result.groups for line in _of_rung(result, name)]
    whole = [line for line in lines if line.status is not None]
    lost = [line.metric for line in whole if line.status == "refused"]
    won = all(line.status == "passed" for line in whole)
    status: Status = "refused" if lost else "passed" if whole and won else "too little data"
    reasons = {
        "refused": f"the base model is preferred to the whole release: {'; '.join(lost)}",
        "passed": "every blind judge prefers the whole release to the base model",
        "too little data": "no step from the base model to the whole release is beyond doubt",
    }
    return Section(
        name="ladder",
        title="Does each step help on held-out people?",
        question="helps",
        status=status,
        reason=f"{reasons[status]} (n {result.n})",
        interval="95 % interval over people",
        lines=tuple(lines),
        notes=(f"measured on {result.data.name}", *result.notes),
    )


def _of_pair(result: Result, upper: str, lower: str) -> list[Line]:
    name = f"{upper} over {lower}"
    found = result.groups[name].metrics
    lines = []
    for judge in JUDGES:
        measure = found.get(f"preferred_by_{judge}")
        if measure is None:
            continue
        ends = (measure.low, measure.high)
        judged = (upper, lower) == ("adapter_policy", "base") and judge != "defects"
        lines.append(
            Line(
                group=name,
                metric=f"preferred by judge {judge}, share of messages",
                estimate=measure.estimate,
                low=ends[0],
                high=ends[1],
                n=measure.n,
                bound=0.5,
                status=_preferred(*ends) if judged else None,
            )
        )
    return lines


def _preferred(low: float | None, high: float | None) -> Status:
    if low is None or high is None:
        return "too little data"
    return "passed" if low > 0.5 else "refused" if high < 0.5 else "too little data"


def _of_rung(result: Result, name: str) -> list[Line]:
    if " over " in name:
        return []
    words = {
        "fit": "fit to the message, probability",
        "empathy": "expressed empathy, 0 to 6",
        "strategy_fit": "shows a kind that a supporter would give, probability",
        "strategy": "shows the kind of reply people gave, probability",
        "error": "wrong answers to checkable questions, share",
        "refusals": "refusals, share",
        "words": "words a reply",
    }
    found = result.groups[name].metrics
    return [
        Line(
            group=name,
            metric=words[metric],
            estimate=found[metric].estimate,
            low=found[metric].low,
            high=found[metric].high,
            n=found[metric].n,
        )
        for metric in words
        if metric in found
    ]
