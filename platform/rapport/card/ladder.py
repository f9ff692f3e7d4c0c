"""The ladder: does each thing that a release learned help people it did not learn from?

The same messages of held-out people are answered by ever more of the release (see `rungs`), and by
the people who really answered. Every reply is measured, and pairs are compared blind by judges
that have nothing in common: one learned from people's replies which go with which messages, one
counts defects by rules, and, where this home has trained EPITOME's scorer, one reads the empathy
that is expressed.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from rapport.affect.strategy import StrategyScorer
from rapport.arms import DEFAULT_AGENT, load_menu
from rapport.card.comparing import UNTRAINED, Readers, Trained, measures, of_pair, of_rung
from rapport.card.judges import Empathy, FitJudge, fit_judge
from rapport.card.questions import questions
from rapport.card.reliability import errors_of
from rapport.card.rungs import RUNGS, Asked, Learned, answers, even_arms, questioned
from rapport.card.writers import open_engine
from rapport.errors import DataError
from rapport.home import Home
from rapport.language.adapters import find_adapters
from rapport.language.library import Library
from rapport.measuring.dialogues import Case, Spoken, read_dialogues, replies_in
from rapport.measuring.released import Released, taught_by
from rapport.measuring.result import Group, Measure, Result, existing
from rapport.personas.cards import told_to_a_model
from rapport.policy.ranking import open_release
from rapport.progress import progress
from rapport.text import TextEncoder

LIMIT = 100
"""Messages that are answered."""
PEOPLE = "people"
"""Those who really answered; no rung, but what the rungs are held against."""
HISTORY = 5
"""Messages of the dialogue a prompt holds."""
STEPS = (
    ("prompt", "base"),
    ("few_shot_context", "prompt"),
    ("adapter", "few_shot_context"),
    ("adapter", "prompt"),
    ("adapter_policy", "adapter"),
    ("adapter_policy", "base"),
    ("adapter_policy", PEOPLE),
)
"""What is compared: the first of each pair over the second."""
_LEARNED_FROM = 2_000
"""Most replies of people that the judge learns from."""
_EVERY = 5
"""Every fifth question is asked on each rung: 40, in three frames."""
_SEED = 0


def measure_ladder(
    path: Path,
    home: Home,
    release: Released,
    *,
    tenant: str = "default",
    limit: int = LIMIT,
    trained: Trained = UNTRAINED,
) -> Result:
    """Answer held-out people's messages on every rung, and compare.

    Args:
        path: A turns table or ESConv; see `rapport.measuring.dialogues`.
        home: The release's; users that taught it are left out, and teach the judge instead.
        release: Whose adapters, cards, policy and library make the upper rungs.
        tenant: Whose users these are.
        limit: Most messages; five rungs take about five seconds each on two cores.
        trained: Scorers of this home.

    Returns:
        Groups are the rungs, `people`, and pairs as `adapter over prompt`; see `comparing` for
        their measures. `error` of a rung is the chance of a wrong answer to questions with
        checkable answers. The metrics are those of the whole release over the base model.

    Raises:
        ConfigError: No such path, or nothing that can be read.
        DataError: The release holds no policy.
        TooLittleDataError: No message of anybody it did not learn from, or too few replies to
            teach the judge.
        ModelError: A model of the release cannot be had.
    """
    if not (release.folder / "policy").is_dir():
        raise DataError(f"release {release.name} holds no policy", "run train_policy")
    spoken = _of_one_agent(read_dialogues(existing(path), tenant=tenant, secret=home.secret()))
    users = spoken.turns["user_id"].unique().sort().to_list()
    taught = taught_by(home, users, tenant=tenant)
    teachers = _teachers(users, taught)
    encoder = release.text_encoder()
    fit = _learned_fit(encoder, spoken, without=frozenset(users) - teachers)
    cases = replies_in(spoken, without=teachers | taught, limit=limit, history=HISTORY, seed=_SEED)
    strategies = StrategyScorer.load(release.folder / "strategies")
    readers = Readers(fit, strategies, trained)
    groups = _groups(cases, release, readers, encoder)
    return Result(
        task="ladder",
        data=path,
        rows=spoken.rows,
        skipped=spoken.skipped,
        n=len(cases),
        metrics=groups["adapter_policy over base"].metrics,
        groups=groups,
        release=release.manifest.release_id,
        notes=(
            f"release {release.name}; messages of {len({case.user for case in cases})} people "
            f"whose replies taught neither it nor the judge",
            f"judge fit learned from {fit.n:,} replies of other people's supporters and ranks "
            f"{fit.auc:.0%} of theirs above misplaced ones; .5 of a judge is no difference",
            "judge defects counts defects, refusals and loops by rules; most pairs are a tie",
            _of_empathy(trained.empathy),
            "judges see two replies of equal length in both orders, without who wrote them",
            "error of adapter_policy is that of adapter: its questions name one kind of reply",
        ),
    )


def _of_empathy(empathy: Empathy | None) -> str:
    if empathy is not None:
        return "judge empathy adds up the levels of EPITOME's three mechanisms, word for word"
    return (
        "empathy was not measured, and no judge reads it: this home has no scorer for it "
        "(rapport run train_scorers --data EPITOME)"
    )


def _of_one_agent(spoken: Spoken) -> Spoken:
    turns = spoken.turns.filter(pl.col("agent_id") == DEFAULT_AGENT)
    return replace(spoken, turns=turns, skipped=spoken.skipped + spoken.turns.height - turns.height)


def _teachers(users: Sequence[str], taught: frozenset[str]) -> frozenset[str]:
    """Users whose replies teach the judge: those that taught the release, else every other one."""
    if len(taught) >= len(users) / 2:
        return taught
    return taught | frozenset([user for user in users if user not in taught][::2])


def _learned_fit(encoder: TextEncoder, spoken: Spoken, *, without: Collection[str]) -> FitJudge:
    cases = replies_in(spoken, without=without, limit=_LEARNED_FROM, history=HISTORY, seed=_SEED)
    said = [case.messages[-1]["content"] for case in cases]
    return fit_judge(encoder, said, [case.reply for case in cases], [case.user for case in cases])


def _groups(
    cases: Sequence[Case], release: Released, readers: Readers, encoder: TextEncoder
) -> dict[str, Group]:
    folder = release.folder
    learned = Learned(
        engine=open_engine(release.language_model(), find_adapters(folder / "adapters")),
        cards=told_to_a_model(folder / "personas"),
        menu=load_menu(DEFAULT_AGENT),
        library=Library.load(folder / "adapters"),
    )
    asked = _asked(cases, folder, encoder)
    written: dict[str, Sequence[str]] = {PEOPLE: [case.reply for case in cases]}
    groups: dict[str, Group] = {}
    with progress("rungs of the ladder", len(RUNGS)) as advance:
        for rung in RUNGS:
            written[rung] = answers(rung, learned, asked)
            found = of_rung(cases, written[rung], readers).metrics
            groups[rung] = Group({**found, **_errors(rung, learned, asked)})
            advance(1)
    groups[PEOPLE] = of_rung(cases, written[PEOPLE], readers)
    for upper, lower in STEPS:
        name = f"{upper} over {lower}"
        groups[name] = of_pair(cases, written[upper], written[lower], readers)
    return groups


def _asked(cases: Sequence[Case], folder: Path, encoder: TextEncoder) -> list[Asked]:
    opened, menu = open_release(folder, encoder=encoder), load_menu(DEFAULT_AGENT)
    found = []
    for case, drawn in zip(cases, even_arms(menu, len(cases), seed=_SEED), strict=True):
        said = [{"role": each["role"], "content": each["content"]} for each in case.messages]
        arms, personas = opened.arms(said, agent=DEFAULT_AGENT)
        found.append(Asked(case.messages, next(iter(personas)), menu[next(iter(arms))], drawn))
    return found


def _errors(rung: str, learned: Learned, asked: Sequence[Asked]) -> dict[str, Measure]:
    """Chance of a wrong answer, over three frames; nothing where the rung below says it."""
    writer = questioned(rung, learned, asked)
    if writer is None:
        return {}
    errors = errors_of(writer, reading="choice", asked=questions()[::_EVERY])
    mean = np.mean(list(errors.frames.values()), axis=0)
    return measures({"error": mean}, np.array([str(i) for i in range(len(mean))]))
