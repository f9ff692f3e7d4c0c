import time
from pathlib import Path

import pytest

from rapport.arms import load_menu
from rapport.errors import BudgetError, TooLittleDataError
from rapport.language.adapters import CONFIG_FILE, WEIGHTS_FILE, find_adapters
from rapport.language.course import STATE_FILE, Target
from rapport.language.examples import Example, Lesson
from rapport.language.loading import LanguageModel
from rapport.language.prompts import Message
from rapport.language.settings import Curriculum, TrainingSettings
from rapport.language.training import SHARED, AdapterTrainer, train_all

SETTINGS = TrainingSettings(tokens=1500, learning_rate=2e-2, batch_tokens=300)
CURRICULUM = Curriculum(
    shared=SETTINGS, persona=SETTINGS.model_copy(update={"tokens": 600}), held_out=6
)


def examples(persona: str, reply: str, *, users: int, start: int = 0) -> list[Example]:
    arms = load_menu().served
    return [
        Example(
            messages=[Message(role="user", content=f"I feel low {i}.")],
            reply=reply,
            arm=arms[i % len(arms)],
            persona=persona,
            user=f"user-{i}",
        )
        for i in range(start, start + users)
    ]


def a_lesson(persona: str = "wry-03", reply: str = "What a week that was.") -> Lesson:
    return Lesson(examples(persona, reply, users=12), examples(persona, reply, users=6, start=100))


@pytest.fixture
def trainer(loaded: LanguageModel) -> AdapterTrainer:
    return AdapterTrainer(loaded)


def test_an_adapter_learns_what_held_out_users_are_told(trainer: AdapterTrainer, tmp_path: Path):
    report = trainer.train(a_lesson(), SETTINGS, Target(tmp_path / "wry-03"))

    assert report.perplexity_adapter < 0.9 * report.perplexity_base
    assert 0 < report.gain_low <= report.gain <= report.gain_high
    assert report.stopped_by == "tokens"
    assert 1500 <= report.tokens < 1500 + 300
    assert report.held_out == report.held_out_users == 6
    assert sorted(p.name for p in (tmp_path / "wry-03").iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_the_same_seed_trains_the_same_adapter(loaded: LanguageModel, tmp_path: Path):
    for name in ("a", "b"):
        AdapterTrainer(loaded).train(a_lesson(), SETTINGS, Target(tmp_path / name))

    assert (tmp_path / "a" / WEIGHTS_FILE).read_bytes() == (
        tmp_path / "b" / WEIGHTS_FILE
    ).read_bytes()


def test_training_that_makes_held_out_users_worse_is_stopped_and_undone(
    trainer: AdapterTrainer, tmp_path: Path
):
    taught, held = a_lesson().train, examples("wry-03", "ZZZ qqq 12345 xyz!", users=6, start=100)
    settings = SETTINGS.model_copy(update={"tokens": 20_000, "checks": 12, "worse_nats": 0.01})

    report = trainer.train(Lesson(taught, held), settings, Target(tmp_path / "a"))

    assert report.stopped_by == "held_out"
    assert report.tokens < 20_000
    assert report.perplexity_adapter <= report.perplexity_base


def test_at_its_deadline_a_training_keeps_its_best_and_says_so(
    trainer: AdapterTrainer, tmp_path: Path
):
    settings = SETTINGS.model_copy(update={"tokens": 10_000_000})
    target = Target(tmp_path / "a", deadline=time.monotonic() + 2)

    report = trainer.train(a_lesson(), settings, target)

    assert report.stopped_by == "budget"
    assert 0 < report.tokens < 10_000_000
    assert report.perplexity_adapter < report.perplexity_base
    assert find_adapters(tmp_path) == {"a": tmp_path / "a"}


def test_an_interrupted_training_ends_as_if_it_had_not_been(loaded: LanguageModel, tmp_path: Path):
    straight = AdapterTrainer(loaded).train(a_lesson(), SETTINGS, Target(tmp_path / "straight"))
    target = Target(tmp_path / "broken", on_checkpoint=_Crash().once)

    with pytest.raises(KeyboardInterrupt):
        AdapterTrainer(loaded).train(a_lesson(), SETTINGS, target)
    assert (tmp_path / "broken" / STATE_FILE).exists()
    resumed = AdapterTrainer(loaded).train(a_lesson(), SETTINGS, target)

    assert (resumed.tokens, resumed.steps) == (straight.tokens, straight.steps)
    assert resumed.perplexity_adapter == straight.perplexity_adapter
    assert (tmp_path / "broken" / WEIGHTS_FILE).read_bytes() == (
        tmp_path / "straight" / WEIGHTS_FILE
    ).read_bytes()


@pytest.mark.parametrize("call", [1, 4, 9])
def test_a_crash_between_two_checks_costs_steps_and_changes_nothing(
    loaded: LanguageModel, tmp_path: Path, call: int
):
    """With a checkpoint after every step: at the first, before and after a check, at the last."""
    straight = AdapterTrainer(loaded).train(a_lesson(), SETTINGS, Target(tmp_path / "straight"))
    crash = _Crash(at=min(call, straight.steps))
    target = Target(tmp_path / "broken", on_checkpoint=crash.once, checkpoint_s=0.0)

    with pytest.raises(KeyboardInterrupt):
        AdapterTrainer(loaded).train(a_lesson(), SETTINGS, target)
    resumed = AdapterTrainer(loaded).train(a_lesson(), SETTINGS, target)

    assert crash.calls == straight.steps
    assert (resumed.tokens, resumed.steps) == (straight.tokens, straight.steps)
    assert (tmp_path / "broken" / WEIGHTS_FILE).read_bytes() == (
        tmp_path / "straight" / WEIGHTS_FILE
    ).read_bytes()


def test_a_deadline_that_is_kept_leaves_no_trace_in_the_adapter(
    loaded: LanguageModel, tmp_path: Path
):
    for name, deadline in (("free", None), ("bound", time.monotonic() + 600)):
        AdapterTrainer(loaded).train(a_lesson(), SETTINGS, Target(tmp_path / name, deadline))

    assert (tmp_path / "free" / WEIGHTS_FILE).read_bytes() == (
        tmp_path / "bound" / WEIGHTS_FILE
    ).read_bytes()


class _Crash:
    def __init__(self, at: int = 1) -> None:
        self.calls, self._at = 0, at

    def once(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "lesson",
    [
        Lesson([], a_lesson().held_out),
        Lesson(a_lesson().train, []),
        Lesson(a_lesson().train, examples("wry-03", "Yes.", users=1)),
    ],
)
def test_too_little_data_is_refused_before_any_work(
    trainer: AdapterTrainer, tmp_path: Path, lesson: Lesson
):
    with pytest.raises(TooLittleDataError):
        trainer.train(lesson, SETTINGS, Target(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_every_persona_starts_from_the_shared_adapter(trainer: AdapterTrainer, tmp_path: Path):
    lessons = {"wry-03": a_lesson(), "shy-01": a_lesson("shy-01", "I hear you, friend.")}

    reports = train_all(trainer, lessons, CURRICULUM, out=tmp_path)

    assert list(reports) == [SHARED, "wry-03", "shy-01"]
    assert set(find_adapters(tmp_path)) == {SHARED, "wry-03", "shy-01"}
    for persona in lessons:
        assert reports[persona].tokens < reports[SHARED].tokens
        assert reports[persona].perplexity_adapter < 0.9 * reports[persona].perplexity_base


def test_finished_adapters_are_not_trained_again(trainer: AdapterTrainer, tmp_path: Path):
    lessons = {"wry-03": a_lesson()}
    reports = train_all(trainer, lessons, CURRICULUM, out=tmp_path)
    calls: list[int] = []

    again = train_all(
        trainer, lessons, CURRICULUM, out=tmp_path, on_checkpoint=lambda: calls.append(1)
    )

    assert again == reports
    assert not calls


def test_a_persona_with_too_few_examples_is_left_to_the_shared_adapter(
    trainer: AdapterTrainer, tmp_path: Path
):
    lessons = {"wry-03": a_lesson(), "shy-01": Lesson(a_lesson("shy-01").train[:2], [])}

    reports = train_all(trainer, lessons, CURRICULUM, out=tmp_path)

    assert set(reports) == {SHARED, "wry-03"}


def test_at_the_budget_every_adapter_has_had_its_share_of_the_time(
    trainer: AdapterTrainer, tmp_path: Path
):
    endless = SETTINGS.model_copy(update={"tokens": 10_000_000})
    curriculum = Curriculum(shared=endless, persona=endless, held_out=6, budget_s=3.0)

    reports = train_all(trainer, {"wry-03": a_lesson()}, curriculum, out=tmp_path)

    assert [report.stopped_by for report in reports.values()] == ["budget", "budget"]
    assert reports["wry-03"].perplexity_adapter < reports["wry-03"].perplexity_base


def test_a_persona_no_time_is_left_for_keeps_the_shared_adapter(
    trainer: AdapterTrainer, tmp_path: Path
):
    shared = trainer.train(a_lesson(), SETTINGS, Target(tmp_path / SHARED))
    late = Target(tmp_path / "wry-03", deadline=time.monotonic() - 1)

    report = trainer.train(a_lesson(), SETTINGS, late, start_from=tmp_path / SHARED)

    assert (report.steps, report.stopped_by) == (0, "budget")
    assert report.perplexity_adapter == pytest.approx(shared.perplexity_adapter)
    assert (tmp_path / "wry-03" / WEIGHTS_FILE).read_bytes() == (
        tmp_path / SHARED / WEIGHTS_FILE
    ).read_bytes()


def test_a_budget_too_short_for_anything_is_an_error(trainer: AdapterTrainer, tmp_path: Path):
    with pytest.raises(BudgetError, match="train_adapters"):
        train_all(
            trainer,
            {"wry-03": a_lesson()},
            CURRICULUM.model_copy(update={"budget_s": 1e-6}),
            out=tmp_path,
        )
