"""How good are the arms that the menu's exemplars tell? Against known arms, chance and majority.

The simulator's replies carry the arm they were written under; people's replies in ESConv the
strategy their writer chose. Minutes; ESConv's part is skipped without its data.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rapport.affect.exemplars import ExemplarScorer
from rapport.arms import agents, load_menu
from rapport.ingest.dialogues import parse
from rapport.ingest.elements import elements
from rapport.ingest.esconv import OPENING
from rapport.pipeline.settings import LabelConfig
from rapport.simulation import simulate
from rapport.text import load_encoder
from tests.statistics.report import say

pytestmark = pytest.mark.slow
ESCONV = Path(__file__).parents[2] / "../shared/data/esconv/esconv.jsonl.gz"
REPLIES = 1_000
SURE = LabelConfig.model_fields["confidence"].default


@dataclass(frozen=True)
class Found:
    n: int
    chance: float
    majority: float
    accuracy: float
    covered: float
    """Share of the replies that are labelled."""
    sure: float
    """Share of those that are right."""

    @property
    def stderr(self) -> float:
        """Of the accuracy."""
        return float(np.sqrt(self.accuracy * (1 - self.accuracy) / self.n))


def measured(agent: str, replies: list[tuple[str, str]], *, name: str) -> Found:
    chosen = np.random.default_rng(0).permutation(len(replies))[:REPLIES]
    arms, texts = zip(*[replies[i] for i in chosen], strict=True)
    encoder = load_encoder()
    scorer = ExemplarScorer.of(load_menu(agent), encoder)
    probability = scorer.predict(texts, encoder.encode(texts))
    right = np.array(scorer.arms)[probability.argmax(axis=1)] == np.array(arms)
    labelled = probability.max(axis=1) >= SURE
    found = Found(
        n=len(texts),
        chance=1 / len(scorer.arms),
        majority=Counter(arms).most_common(1)[0][1] / len(arms),
        accuracy=float(right.mean()),
        covered=float(labelled.mean()),
        sure=float(right[labelled].mean()),
    )
    say(
        f"{name}: n {found.n}, accuracy {found.accuracy:.3f} (majority {found.majority:.3f}, "
        f"chance {found.chance:.3f}); at confidence {SURE} {found.covered:.2f} are labelled, "
        f"{found.sure:.3f} of them right"
    )
    return found


@pytest.mark.parametrize("agent", agents())
def test_the_simulators_arms_are_told_far_above_majority(agent):
    log = simulate(300, 10, seed=11)
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct
    drawn = log.decisions.filter(pl.col("agent_id") == agent).select(
        arm=taken.field("arm"), reply=taken.field("text")
    )
    found = measured(agent, list(drawn.drop_nulls().iter_rows()), name=agent)
    assert found.accuracy - 4 * found.stderr > 2 * found.majority
    assert found.covered > 0.3
    assert found.sure > 0.9


def test_peoples_strategies_are_told_above_chance_and_better_where_sure():
    if not ESCONV.exists():
        pytest.skip("ESConv is not at ../shared/data/esconv")
    served = {arm.name for arm in load_menu("emotional_support").served}
    replies = [
        (turn.arm, turn.text)
        for element in elements(ESCONV, opening=OPENING)
        for turn in parse(element.value, tenant="default").turns
        if turn.arm in served
    ]
    found = measured("emotional_support", replies, name="ESConv, the six strategies of the menu")
    assert found.accuracy - 4 * found.stderr > 1.5 * found.chance
    assert found.accuracy > found.majority
    assert found.sure > found.accuracy + 0.1
