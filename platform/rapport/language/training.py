"""Training adapters: one over all personas, then one a persona started from it."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rapport.errors import BudgetError, TooLittleDataError
from rapport.language.adaptation import adapted
from rapport.language.batches import Encoded, encode_examples
from rapport.language.course import STATE_FILE, Course, StoppedBy, Target
from rapport.language.examples import Example, Lesson
from rapport.language.loading import LanguageModel
from rapport.language.losses import Losses, evaluate, gain
from rapport.language.settings import Curriculum, TrainingSettings
from rapport.language.workers import Workers
from rapport.models import model_id
from rapport.progress import progress

SHARED = "shared"
"""Name of the adapter over all personas: every persona's starts from it, unsure routing uses it."""
REPORT_FILE = "report.json"


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training came to. Perplexities are over reply tokens of held-out users.

    It says nothing of time: equal trainings have equal reports, and so a release rebuilt from its
    record has the id of the first.
    """

    tokens: int
    steps: int
    perplexity_base: float
    perplexity_adapter: float
    gain: float
    """Nats a reply token that the adapter gains over the base model."""
    gain_low: float
    gain_high: float
    """Ends of the gain's 95 % interval, clustered by user."""
    held_out: int
    held_out_users: int
    stopped_by: StoppedBy
    """`tokens`: it ran through. `held_out`: held-out users got worse. `budget`: time was up. The
    best check is what is kept, always."""


class AdapterTrainer:
    """Trains adapters on one base model, one after another.

    Not thread-safe. Give it a model of `loading.load_trainable`. About 300 tokens a second for
    SmolLM2-135M on 2 cores.
    """

    def __init__(self, loaded: LanguageModel) -> None:
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        self._base = model_id(loaded.folder)
        self._known: dict[Encoded, tuple[float, int]] = {}

    def train(
        self,
        lesson: Lesson,
        settings: TrainingSettings,
        target: Target,
        *,
        start_from: Path | None = None,
    ) -> TrainReport:
        """Train an adapter and write it in PEFT format.

        The same inputs give the same adapter on one machine, unless the deadline cuts in.

        Args:
            lesson: Examples to learn from, and those of other users to be judged on.
            settings: How.
            target: Where to and until when.
            start_from: Adapter to start from; default a new one, which at first changes nothing.

        Raises:
            TooLittleDataError: No example to learn from, or fewer than two held-out users.
        """
        _check(lesson)
        taught, held = (
            self._encoded(lesson.train, settings),
            self._encoded(lesson.held_out, settings),
        )
        before = self._unadapted(held)
        with adapted(self._model, settings, start_from=start_from) as wrapped:
            course = Course(wrapped, settings, target, held)
            course.begin(None if start_from else before, base=self._base)
            with progress(f"adapter {target.out.name}", settings.tokens) as advance:
                course.run(taught, advance)
        (target.out / STATE_FILE).unlink(missing_ok=True)
        return _report(course, before, [example.user for example in held])

    def _encoded(self, examples: Sequence[Example], settings: TrainingSettings) -> list[Encoded]:
        return encode_examples(self._tokenizer, examples, prompt_tokens=settings.prompt_tokens)

    def _unadapted(self, held: Sequence[Encoded]) -> Losses:
        """Losses under the base model, each example's computed once."""
        new = [example for example in dict.fromkeys(held) if example not in self._known]
        if new:
            losses = evaluate(self._model, new, Workers())
            pairs = zip(losses.nats.tolist(), losses.tokens.tolist(), strict=True)
            self._known |= dict(zip(new, pairs, strict=True))
        nats, tokens = zip(*(self._known[example] for example in held), strict=True)
        return Losses.of(nats, tokens)


def train_all(
    trainer: AdapterTrainer,
    lessons: Mapping[str, Lesson],
    curriculum: Curriculum,
    *,
    out: Path,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> dict[str, TrainReport]:
    """Train the shared adapter on every persona's examples, then each persona's from it.

    Writes `out/shared/`, `out/<persona>/` and `out/report.json`, which is complete after each
    adapter. Called again on the same folder it goes on where it was. A persona that no time is
    left for keeps the shared adapter, with 0 steps and `budget` in its report.

    Args:
        trainer: Holds the base model.
        lessons: Examples by persona; a persona with too few is left to the shared adapter.
        curriculum: How.
        out: Folder of the results.
        on_checkpoint: Called when the folder holds something worth keeping.

    Returns:
        Reports by adapter.

    Raises:
        TooLittleDataError: All personas together have too few examples.
        BudgetError: Time was up before the shared adapter had learnt anything.
    """
    lessons = {name: _cut(lesson, curriculum.held_out) for name, lesson in lessons.items()}
    plan = _plan(lessons, curriculum)
    reports = read_reports(out)
    deadline = None if curriculum.budget_s is None else time.monotonic() + curriculum.budget_s
    for name, (lesson, settings) in plan.items():
        if name not in reports:
            left = sum(each.tokens for other, (_, each) in plan.items() if other not in reports)
            target = Target(
                out / name,
                _share(deadline, settings.tokens / left),
                on_checkpoint,
                curriculum.checkpoint_s,
            )
            start = None if name == SHARED else out / SHARED
            reports[name] = trainer.train(lesson, settings, target, start_from=start)
            if name == SHARED and not reports[name].steps:
                raise BudgetError("train_adapters", curriculum.budget_s or 0.0)
            _write_reports(out, reports)
            on_checkpoint()
    return reports


def pooled(lessons: Mapping[str, Lesson]) -> Lesson:
    """All personas' examples, taking turns.

    Raises:
        TooLittleDataError: No example to learn from, or fewer than two held-out users.
    """
    everything = Lesson(
        _in_turn([lesson.train for lesson in lessons.values()]),
        _in_turn([lesson.held_out for lesson in lessons.values()]),
    )
    _check(everything)
    return everything


def read_reports(out: Path) -> dict[str, TrainReport]:
    """Reports of the adapters in a folder that are finished; none when there is no folder."""
    path = out / REPORT_FILE
    if not path.exists():
        return {}
    reports = json.loads(path.read_text(encoding="utf-8"))
    return {name: TrainReport(**values) for name, values in reports.items()}


def _plan(
    lessons: Mapping[str, Lesson], curriculum: Curriculum
) -> dict[str, tuple[Lesson, TrainingSettings]]:
    plan = {SHARED: (pooled(lessons), curriculum.shared)}
    for persona, lesson in lessons.items():
        if _enough(lesson):
            plan[persona] = (lesson, curriculum.persona)
    return plan


def _in_turn(parts: Sequence[Sequence[Example]]) -> list[Example]:
    longest = max((len(part) for part in parts), default=0)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]


def _cut(lesson: Lesson, held_out: int) -> Lesson:
    return Lesson(lesson.train, lesson.held_out[:held_out])


def _share(deadline: float | None, share: float) -> float | None:
    now = time.monotonic()
    return None if deadline is None else now + max(deadline - now, 0.0) * share


def _enough(lesson: Lesson) -> bool:
    return bool(lesson.train) and len({example.user for example in lesson.held_out}) >= 2


def _check(lesson: Lesson) -> None:
    if not lesson.train:
        raise TooLittleDataError("adapter examples", 0, 1)
    users = len({example.user for example in lesson.held_out})
    if users < 2:
        raise TooLittleDataError("held-out users of the adapters", users, 2)


def _report(course: Course, before: Losses, users: Sequence[str]) -> TrainReport:
    gained = gain(before, course.best.losses, users)
    return TrainReport(
        tokens=course.tokens,
        steps=course.step,
        perplexity_base=before.perplexity,
        perplexity_adapter=course.best.losses.perplexity,
        gain=gained.value,
        gain_low=gained.low,
        gain_high=gained.high,
        held_out=len(users),
        held_out_users=gained.users,
        stopped_by=course.stopped_by,
    )


def _write_reports(out: Path, reports: Mapping[str, TrainReport]) -> None:
    text = json.dumps({name: asdict(report) for name, report in reports.items()}, indent=1)
    partial = out / f"{REPORT_FILE}.partial"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(out / REPORT_FILE)
