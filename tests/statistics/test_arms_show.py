"""Does a trained adapter show the drawn arm? The default model, the simulator's log, 200 replies.

The adapters learn from half of the simulator's wordings of each arm. One scorer knows all wordings,
as in a run; another knows only the half that the adapters never saw, so that it cannot recognise a
wording, only the arm. Minutes; needs the default language model.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

from rapport.affect import StrategyScorer
from rapport.arms import agents, load_menu
from rapport.config import LANGUAGE_URI
from rapport.language.adapters import find_adapters
from rapport.language.examples import Example, Lesson, LoggedReply, choose
from rapport.language.loading import load_trainable
from rapport.language.settings import Curriculum
from rapport.language.showing import Context, Showing, WrittenReplies, judge, write_replies
from rapport.language.training import SHARED, AdapterTrainer, TrainReport, train_all
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.simulation import simulate
from tests.statistics.report import say
from tests.statistics.simulated_replies import logged_replies, of

pytestmark = pytest.mark.slow
REPLIES = 200


@dataclass(frozen=True)
class Trained:
    logged: list[LoggedReply]
    reports: dict[str, TrainReport]
    written: dict[str, WrittenReplies]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    logged = logged_replies(simulate(1500, 20, seed=1))
    out = tmp_path_factory.mktemp("adapters")
    half = halves(logged)
    seen = [
        each
        for each in of(logged, "train")
        if half[arm_of(each.example), opening(each.example)] == 0
    ]
    taught = choose(seen, per_persona=400, seed=1)
    held = choose(of(logged, "tune"), per_persona=100, seed=1)
    lessons = {name: Lesson(taught[name], held[name]) for name in taught}
    model = pull(LANGUAGE_URI)
    loaded = load_trainable(model)
    reports = train_all(AdapterTrainer(loaded), lessons, Curriculum(), out=out)
    engine = TransformersEngine(model, find_adapters(out))
    written = {agent: replies_of(engine, agent, logged) for agent in agents()}
    return Trained(logged, reports, written)


def arm_of(example: Example) -> str:
    return example.arm.name if example.arm else ""


def opening(example: Example) -> str:
    """What tells one wording of an arm from another: its first words."""
    return " ".join(example.reply.lower().split()[:3])


def halves(logged: list[LoggedReply]) -> dict[tuple[str, str], int]:
    """Every other wording of each arm in one half, the rest in the other."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in logged:
        found[arm_of(each.example)].add(opening(each.example))
    return {
        (arm, words): place % 2
        for arm, openings in found.items()
        for place, words in enumerate(sorted(openings))
    }


def replies_of(engine: TransformersEngine, agent: str, logged: list[LoggedReply]) -> WrittenReplies:
    menu = load_menu(agent)
    asked = [e.example for e in of(logged, "gate") if e.example.arm in menu.served]
    contexts = [Context(example.messages, example.persona) for example in asked[:REPLIES]]
    return write_replies(engine, menu, contexts, n=REPLIES, seed=1)


def judged(trained: Trained, agent: str, *, wording_half: int | None) -> Showing:
    """How a scorer that learnt from other users' replies of an agent reads the written ones."""
    arms = [arm.name for arm in load_menu(agent).served]
    half = halves(trained.logged)
    known = [
        each.example
        for each in of(trained.logged, "tune")
        if each.example.arm in load_menu(agent).served
        and wording_half in (None, half[arm_of(each.example), opening(each.example)])
    ]
    scorer = StrategyScorer.fit([e.reply for e in known], [arm_of(e) for e in known])
    written = trained.written[agent]
    columns = [scorer.arms.index(arm) for arm in arms]
    return judge(written.arms, scorer.predict(written.texts)[:, columns], arms)


@pytest.mark.parametrize("agent", agents())
@pytest.mark.parametrize("wording_half", [None, 1], ids=["all wordings", "unseen wordings"])
def test_the_drawn_arm_is_recovered_at_twice_chance(trained: Trained, agent: str, wording_half):
    found = judged(trained, agent, wording_half=wording_half)

    each = {arm: round(share.share, 2) for arm, share in found.arms.items()}
    say(f"{agent}: {found.overall}, chance {found.chance:.3f}, {each}, shown {found.shown}")
    assert found.overall.low >= 2 * found.chance


def test_every_adapter_gains_on_held_out_users(trained: Trained):
    say(str({name: round(r.perplexity_adapter, 2) for name, r in trained.reports.items()}))
    assert len(trained.reports) == 5
    assert trained.reports[SHARED].perplexity_adapter < trained.reports[SHARED].perplexity_base / 2
    assert all(report.gain_low > 0 for report in trained.reports.values())
    assert np.isfinite([report.gain_high for report in trained.reports.values()]).all()
