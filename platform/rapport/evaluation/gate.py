"""The gate: may a candidate policy replace the one that wrote the log?

1. Better overall: the one-sided 95 % lower bound of the paired difference to the logging policy is
   above 0 under SNIPS and DR.
2. No group with enough data harmed: that bound above `-margin` for each persona and declared group.
3. Enough sample: ESS >= max(200, 1 % of n), largest weight <= 100 after clipping.
4. Small harms do not add up: not worse than the first release, overall and in each group, and than
   control, by more than .04.
5. Silence does not make it look better: 1, 2 and 4 hold as well with censoring weights, and with
   every silence filled with the worst reward.
6. Where only the generator changes (adapters, prompts, upstream), 1 asks for `-margin` in place of
   0, since the arms are chosen as before; and the log must show that its replies earn, arm by arm,
   what those of before earned. Where it does not, nothing but a canary can let it serve.

Each user counts once, however much he sends, and in a group for twice the average one at most: 1 %
of users cannot move a gain by much more than .01. A smaller gain may be their work: on a log so
large that it shows, they had 32 of 100 policies without a gain promoted (99 if rows counted).

Non-inferiority per group, not superiority: asking for a gain in every group promotes nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rapport.evaluation import diagnostics
from rapport.evaluation.comparisons import Comparison, Key, comparisons
from rapport.evaluation.estimators import dr_terms, importance_weights, logging_terms, snips_terms
from rapport.evaluation.evidence import Evidence, Reading, readings
from rapport.evaluation.generators import CANARY_ONLY, Generators, generators
from rapport.evaluation.intervals import (
    Bootstrap,
    Estimate,
    FloatArray,
    Terms,
    clustered_bootstrap,
    distinct,
    summary,
)
from rapport.evaluation.verdict import (
    OBSERVED,
    Change,
    GateSettings,
    Row,
    Verdict,
    error_rates,
    judged,
    needed_rows,
)

_ONE_SIDED, _TWO_SIDED = 0.90, 0.95  # the lower end of a .90 interval is the one-sided 95 % bound
_SURE = 4.0  # standard errors of the mean weight before propensities are doubted
_MANY_CLIPPED = 0.01  # share of the target's weight cut away before it is said


def gate(evidence: Evidence, target: FloatArray, settings: GateSettings | None = None) -> Verdict:
    """Judge a candidate policy; promoted only if nothing fails and the sample is large enough.

    About .1 s for 20,000 decisions of 1,000 users at 1,000 resamples.

    Args:
        evidence: The log and what to compare with.
        target: [N, A] the candidate's action probabilities on the log's rows.
        settings: Margins and sizes.

    Raises:
        TooLittleDataError: Fewer than two users reported anything.
        DataError: The arrays do not belong to one log.
    """
    settings = settings or GateSettings()
    read = readings(evidence, target, most=settings.user_cap)
    held, skipped = comparisons(read, settings)
    rows, values = _resampled(held, _values(read, settings), settings)
    rows += skipped
    sample = _sample(read[OBSERVED], settings)
    seen = read[OBSERVED].evidence
    made = generators(seen, read[OBSERVED].target, settings)
    reasons = (*_failures(rows), *_sample_failures(sample), *_unproven(seen.change, made))
    return Verdict(
        promoted=not reasons,
        reasons=reasons,
        rows=tuple(rows),
        settings=settings,
        n=len(evidence.log),
        reported=len(seen.log),
        needed_n=needed_rows(rows, sample=sample, n=len(evidence.log)),
        values=values,
        sample=sample,
        reporting_rates=diagnostics.reporting_rates(evidence.log, evidence.arms),
        error_rates=error_rates(rows),
        sources=_sources(read[OBSERVED], settings),
        change=seen.change,
        generator=made.standing,
        generator_gap=made.gap,
        notes=tuple(_notes(seen.change, made, sample)),
    )


def _resampled(
    held: Mapping[Key, Comparison], values: Mapping[str, Terms], settings: GateSettings
) -> tuple[list[Row], dict[str, Estimate]]:
    """Rows and values, all from the same draws of users."""
    flat = {(key, name): terms for key, one in held.items() for name, terms in one.terms.items()}
    every = [*flat.values(), *values.values()]
    drawn = clustered_bootstrap(every, Bootstrap(settings.resamples, settings.seed))
    gains = {
        key: summary(terms, drawn[:, place], level=_ONE_SIDED)
        for place, (key, terms) in enumerate(flat.items())
    }
    rows = [
        judged(*key, {name: gains[key, name] for name in one.terms}, bound=one.bound)
        for key, one in held.items()
    ]
    found = {
        name: summary(terms, drawn[:, len(flat) + place], level=_TWO_SIDED)
        for place, (name, terms) in enumerate(values.items())
    }
    return rows, found


def _values(read: Mapping[str, Reading], settings: GateSettings) -> dict[str, Terms]:
    """What candidate, logging policy and control earn, under each reading of silence."""
    clip, found = settings.clip, {}
    for name, reading in read.items():
        seen, target = reading.evidence, reading.target
        suffix = "" if name == OBSERVED else f", silence {name}"
        if name == OBSERVED:
            found["snips"] = snips_terms(seen.log, target, clip=clip)
        found[f"dr{suffix}"] = dr_terms(seen.log, target, seen.q_hat, clip=clip)
        found[f"logging{suffix}"] = logging_terms(seen.log)
        if seen.control is not None and len(distinct(seen.control.user)) > 1:
            found[f"control{suffix}"] = logging_terms(seen.control)
    return found


def _sample(reading: Reading, settings: GateSettings) -> dict[str, float]:
    raw = importance_weights(reading.evidence.log, reading.target)
    cut = np.minimum(raw, settings.clip)
    return {
        "ess": diagnostics.ess(cut * reading.evidence.log.weight),
        "ess_floor": settings.min_ess,
        "ess_needed": max(settings.min_ess, settings.ess_share * len(raw)),
        "max_weight": diagnostics.max_weight(cut),
        "max_weight_allowed": settings.max_weight,
        "max_weight_unclipped": diagnostics.max_weight(raw),
        "clipped_weight": float((raw - cut).mean()),
        "mean_weight": float(raw.mean()),
        "mean_weight_stderr": float(raw.std() / np.sqrt(len(raw))),
    }


def _sources(reading: Reading, settings: GateSettings) -> dict[str, dict[str, float]]:
    seen = reading.evidence
    if seen.source is None:
        return {}
    weight = importance_weights(seen.log, reading.target, clip=settings.clip)
    return diagnostics.sizes_by_label(seen.log, weight * seen.log.weight, seen.source)


def _failures(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.group} ({row.estimator}): {row.failure}" for row in rows if row.status == "failed"
    ]


def _sample_failures(sample: Mapping[str, float]) -> list[str]:
    reasons = []
    if sample["ess"] < sample["ess_needed"]:
        reasons.append(
            f"effective sample {sample['ess']:.0f} is under {sample['ess_needed']:.0f} decisions"
        )
    if sample["max_weight"] > sample["max_weight_allowed"]:
        reasons.append(
            f"largest weight {sample['max_weight']:.1f} is over {sample['max_weight_allowed']:g}"
        )
    return reasons


def _unproven(change: Change, made: Generators) -> list[str]:
    if change != "generator" or made.standing != CANARY_ONLY:
        return []
    return [f"only the replies change, and of them this log cannot tell: {made.why}: canary only"]


def _notes(change: Change, made: Generators, sample: Mapping[str, float]) -> list[str]:
    notes = []
    told = {
        "policy": "this verdict is about the choice of arms, the replies are those that serve",
        "policy and generator": "this verdict is about the choice of arms; what the new replies "
        "are worth only a canary can tell",
    }
    if made.standing != CANARY_ONLY and made.why:
        notes.append(made.why)
    elif made.standing == CANARY_ONLY and change in told:
        notes.append(f"{made.why}: {told[change]}")
    if abs(sample["mean_weight"] - 1.0) > _SURE * sample["mean_weight_stderr"]:
        notes.append(
            f"mean weight is {sample['mean_weight']:.3f} where 1 is expected: logged propensities "
            "are wrong, or the target favours arms this log never held"
        )
    if sample["clipped_weight"] > _MANY_CLIPPED:
        notes.append(
            f"clipping took {sample['clipped_weight']:.3f} of the mean weight: there the estimates "
            "rest on the reward model alone"
        )
    return notes
