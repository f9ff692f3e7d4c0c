"""Reliability and boundaries of a candidate's adapters, as sections of its card.

Asking takes seconds a question, so that a first look may ask fewer. The fewer, the wider the
interval: a look at part of the questions refuses only what lies beyond the margin beyond doubt,
and passes only what the interval passes; the whole set is judged by `reliability`'s own rule.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapport.arms import load_menu
from rapport.card.boundaries import GUARDED, LIMITS, boundaries, observe
from rapport.card.checks import Check, Verdict
from rapport.card.defects import DEFECTS
from rapport.card.document import ADAPTER, Line, Section, Status, worst
from rapport.card.kept import about_of, keep, kept
from rapport.card.measured import ASKED_WITH
from rapport.card.questions import Question, questions
from rapport.card.reliability import MARGIN, compare, errors_of
from rapport.card.writers import adapted_writer, always, open_engine, prompted_writer
from rapport.home import Home
from rapport.language.adapters import WEIGHTS_FILE, find_adapters
from rapport.language.settings import Level, PromptSettings
from rapport.models import model_id
from rapport.pipeline.ports import digest_tree
from rapport.pipeline.settings import CardSettings

_STATUS: Mapping[Verdict, Status] = {
    "passed": "passed",
    "undecided": "too little data",
    "guarded": "passed",
    "inherited": "inherited",
    "refused": "refused",
}
_WORDS: Mapping[str, str] = {
    "both_sides": "takes both sides of a quarrel",
    "gives_up": "gives up a right answer",
    "claims": "claims feelings or a past",
    "goodbye": "does not let go who says goodbye",
    "disclosure": "hides that it is an AI",
    "wordy": "too long",
    "glued": "glues several kinds of reply together",
    "closing_question": "ends in an open question",
    "ungrounded": "speaks of what nobody told",
}
"""What each check counts, as a card says it."""
_INTERVAL = "95 % interval, paired by question"


@dataclass(frozen=True)
class Subject:
    """Adapters of a release or candidate, and how serving asks them."""

    model: Path
    """Folder of the base model."""
    adapters: Mapping[str, Path]
    """Folders by name; those of equal weights are asked once."""
    level: Level

    @classmethod
    def of(cls, folder: Path, model: Path) -> "Subject":
        """What a release's folder holds."""
        return cls(model, find_adapters(folder / "adapters"), PromptSettings.load(folder).level)

    @property
    def same(self) -> dict[str, list[str]]:
        """Names of adapters with equal weights, by the first of them."""
        by_weights: dict[str | None, list[str]] = {}
        for name, path in self.adapters.items():
            by_weights.setdefault(digest_tree(path / WEIGHTS_FILE), []).append(name)
        return {names[0]: names for names in by_weights.values()}

    def about(self, **how: object) -> str:
        """Names what a measurement of these adapters depends on."""
        weights = {name: digest_tree(path) for name, path in self.adapters.items()}
        return about_of(model=model_id(self.model), adapters=weights, level=self.level, **how)


def measured(home: Home, folder: Path, model: Path, settings: CardSettings) -> list[Section]:
    """The sections of a candidate's card that need the model asked, and those kept from before.

    Args:
        home: Where measurements are kept: what was asked of the same adapters is not asked again.
        folder: Of the candidate.
        model: Folder of its base model.
        settings: How much may be asked.
    """
    subject = Subject.of(folder, model)
    found = []
    if subject.adapters:
        ends_at = time.monotonic() + settings.seconds
        if settings.questions:
            found = [reliability_section(home, subject, n=settings.questions, ends_at=ends_at)]
        ask = boundary_sections if settings.boundaries else kept_boundaries
        found += ask(home, subject)
    ladder = kept(home, "ladder", about=about_ladder(folder))
    return [*found, *([ladder] if ladder else [])]


def about_ladder(folder: Path) -> str:
    """Names whose ladder it is: that of a release's adapters."""
    return about_of(adapters=digest_tree(folder / "adapters"))


def reliability_section(
    home: Home, subject: Subject, *, n: int, ends_at: float = math.inf
) -> Section:
    """How much oftener adapters answer wrongly than their base model; kept for the next card.

    Args:
        home: Where it is kept; what asked the whole set before is taken in place of a first look.
        subject: Whose adapters.
        n: Most questions; each is asked in three frames.
        ends_at: `time.monotonic()` after which no further adapter is asked.
    """
    for asked in dict.fromkeys((len(questions()), min(n, len(questions())))):
        found = kept(home, "reliability", about=subject.about(questions=_some(asked)))
        if found is not None:
            return found
    section = _reliability(subject, _some(n), ends_at=ends_at)
    if any(line.status == "not measured" for line in section.lines):
        return section
    keep(home, section, about=subject.about(questions=_some(n)))
    return section


def boundary_sections(home: Home, subject: Subject) -> list[Section]:
    """Whether adapters keep their boundaries, and how often their replies have defects."""
    about = subject.about(limits=dict(LIMITS))
    known = [kept(home, name, about=about) for name in ("boundaries", "defects")]
    if all(known):
        return [section for section in known if section is not None]
    found = _boundaries(subject)
    for section in found:
        keep(home, section, about=about)
    return found


def kept_boundaries(home: Home, subject: Subject) -> list[Section]:
    """Those sections where they were measured before; nothing is asked."""
    about = subject.about(limits=dict(LIMITS))
    known = (kept(home, name, about=about) for name in ("boundaries", "defects"))
    return [section for section in known if section is not None]


def _some(n: int) -> list[Question]:
    """At most `n` of the questions, evenly over the whole set."""
    every = questions()
    step = max(-(-len(every) // max(n, 1)), 1)
    return list(every[::step])


def _reliability(subject: Subject, asked: Sequence[Question], *, ends_at: float) -> Section:
    engine = open_engine(subject.model, subject.adapters)
    choose = always(load_menu()[ASKED_WITH])
    base = prompted_writer(engine, level=subject.level, choose=choose)
    of_base = errors_of(base, reading="choice", asked=asked)
    whole = len(asked) == len(questions())
    lines = [
        Line(group="base model", metric=f"wrong answers, {frame}", estimate=float(errors.mean()),
             n=len(errors))
        for frame, errors in of_base.frames.items()
    ]  # fmt: skip
    for name, names in subject.same.items():
        if time.monotonic() > ends_at:
            lines += [_late(f"adapter/{each}") for each in names]
            continue
        writer = adapted_writer(engine, name, level=subject.level, choose=choose)
        found = compare(of_base, errors_of(writer, reading="choice", asked=asked))
        lines += [
            _difference(f"adapter/{each}", check, whole=whole)
            for each in names
            for check in found.checks.values()
        ]
    status = worst(line.status for line in lines if line.status)
    return Section(
        name="reliability",
        title="Does warmth cost truth?",
        question="harms",
        status=status,
        reason=_reason(status, lines, f"n {len(asked)} questions in three frames"),
        interval=_INTERVAL,
        lines=tuple(lines),
        notes=(
            "a wrong answer: the chance that the wrong one of two is given; adapter minus base",
            *(() if whole else (
                f"a first look at {len(asked)} of {len(questions())} questions: it refuses only "
                "what is beyond doubt; all of them: rapport evaluate card --full",
            )),
        ),
    )  # fmt: skip


def _late(group: str) -> Line:
    metric, note = "wrong answers above the base model's", "time was up: raise card.seconds"
    return Line(group=group, metric=metric, status="not measured", note=note)


def _difference(group: str, check: Check, *, whole: bool) -> Line:
    status = _STATUS[check.verdict]
    if not whole and status == "refused" and check.low <= MARGIN:
        status = "too little data"
    notes: Mapping[Status, str] = {
        "refused": f"answers wrongly more often than the base model, {check.name} questions",
        "too little data": "too few questions to tell",
    }
    return _line(group, f"wrong answers above the base model's, {check.name}", check, status,
                 notes.get(status, ""))  # fmt: skip


def _line(group: str, metric: str, check: Check, status: Status | None, note: str) -> Line:
    return Line(
        group=group,
        metric=metric,
        estimate=check.value,
        low=check.low,
        high=check.high,
        n=check.n,
        bound=check.limit,
        status=status,
        note=note,
    )


def _boundaries(subject: Subject) -> list[Section]:
    engine = open_engine(subject.model, subject.adapters)
    of_base = observe(prompted_writer(engine, level=subject.level))
    checks = {"base model": boundaries(of_base).checks}
    for name, names in subject.same.items():
        seen = observe(adapted_writer(engine, name, level=subject.level))
        found = boundaries(seen, of_base).checks
        checks |= {f"adapter/{each}": found for each in names}
    return [
        _conduct("boundaries", "Does it keep its distance?", checks, [*set(LIMITS) - set(DEFECTS)]),
        _conduct("defects", "What is wrong with its replies?", checks, [*DEFECTS]),
    ]


def _conduct(
    name: str, title: str, checks: Mapping[str, Mapping[str, Check]], kinds: Sequence[str]
) -> Section:
    lines = [
        _crossed(group, found[kind])
        for kind in LIMITS
        if kind in kinds
        for group, found in checks.items()
    ]
    status = worst(line.status for line in lines if line.status)
    guarded = [_WORDS[kind] for kind in kinds if kind in GUARDED]
    return Section(
        name=name,
        title=title,
        question="harms",
        status=status,
        reason=_reason(status, lines, "shares of replies to tempting situations"),
        interval="95 % interval (Wilson)",
        lines=tuple(lines),
        notes=(
            "an adapter that breaks a limit more often than its base model is refused and left "
            "out: the shared adapter answers for a persona's, approved replies for the shared one",
            "a limit that the base model breaks no less refuses no adapter: that is the base "
            "model's own fault, and only another base model mends it",
            *((f"{'; '.join(guarded)}: counted before serving's rules, which replace such a "
               "reply; one in words that they do not know gets out",)
              if guarded else ()),
        ),
    )  # fmt: skip


def _crossed(group: str, check: Check) -> Line:
    """The base model's own lines are told and not judged: there is nothing to put in its place."""
    metric = _WORDS[check.name]
    if not group.startswith(ADAPTER):
        note = (
            f"breaks it by itself: {check.limit:.0%} allowed" if check.value > check.limit else ""
        )
        return _line(group, metric, check, None, note)
    shares = f"{metric} in {check.value:.0%} of replies, {check.limit:.0%} allowed"
    beside = f"{shares}, base model {check.base or 0:.0%}"
    notes: Mapping[Verdict, str] = {
        "refused": beside,
        "inherited": beside,
        "guarded": f"{beside}; replaced in serving",
        "undecided": "too few replies to tell",
        "passed": "",
    }
    return _line(group, metric, check, _STATUS[check.verdict], notes[check.verdict])


def _reason(status: Status, lines: Sequence[Line], told: str) -> str:
    bad = list(dict.fromkeys(line.group for line in lines if line.status == "refused"))
    if bad:
        return f"refused: {', '.join(bad)} ({told})"
    if status == "inherited":
        kinds = dict.fromkeys(line.metric for line in lines if line.status == status)
        broken = ", ".join(kinds)
        return f"no adapter is worse than the base model, which breaks limits: {broken} ({told})"
    if status == "not measured":
        return f"time was up before every adapter was asked ({told})"
    if status == "too little data":
        few = list(dict.fromkeys(line.group for line in lines if line.status == status))
        return f"neither shown nor excluded for {', '.join(few)} ({told})"
    return f"every adapter keeps every limit ({told})"
