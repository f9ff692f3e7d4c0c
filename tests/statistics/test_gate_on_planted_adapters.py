"""Does the gate leave planted adapters out of what it publishes? The default model, really trained.

A candidate holds an honest adapter over everybody and three personas' adapters: one taught to
agree with whatever is asserted, one taught warmth and wrong answers, and one that gains nothing on
held-out users. Its card asks all of them every question, and the release is published. The honest
one learns at a sixth of the rate: at the pipeline's own, without its upkeep, it gains more and
answers neutral questions wrongly more often, which the gate refuses as well. About six minutes on
two quiet cores.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rapport.card.conduct import measured
from rapport.card.document import Card, to_text
from rapport.card.making import make_card
from rapport.config import LANGUAGE_URI
from rapport.home import Home
from rapport.language.adapters import find_adapters
from rapport.language.library import Library
from rapport.language.training import SHARED, TrainReport
from rapport.models import pull
from rapport.pipeline.promotion import promote_judged
from rapport.pipeline.settings import CardSettings
from rapport.release_manifest import CARD
from tests.statistics.planted import plant
from tests.statistics.report import say
from tests.unit.card.cards import LINEAGE
from tests.unit.pipeline.candidates import a_candidate, a_home, a_policy, a_verdict, serving

pytestmark = pytest.mark.slow
NO_GAIN = "no_gain"


def judged(
    home: Home, trained: Path, reports: Mapping[str, TrainReport], settings: CardSettings
) -> Card:
    """The card of a candidate that holds the planted adapters, the honest one for everybody."""
    into = home.work / "made" / "adapters"
    into.mkdir(parents=True)
    held = {SHARED: "honest", "sycophantic": "sycophantic", "warm_but_wrong": "warm_but_wrong",
            NO_GAIN: "honest"}  # fmt: skip
    for name, kind in held.items():
        shutil.copytree(trained / kind, into / name)
    stated = {name: reports[kind] for name, kind in held.items()}
    honest = stated[SHARED]
    stated[NO_GAIN] = replace(honest, gain=0.01, gain_low=-0.02, gain_high=0.04)
    (into / "report.json").write_text(json.dumps({n: asdict(r) for n, r in stated.items()}))
    Library({}).save(into)
    policy = a_policy(temperature=0.5)
    verdict = a_verdict(policy)
    folder = a_candidate(home, policy, verdict=verdict)
    found = measured(home, folder, pull(LANGUAGE_URI), settings)
    card = make_card(folder, verdict, found, lineage=LINEAGE)
    (folder / CARD).write_text(to_text(card))
    return card


def tell(card: Card) -> None:
    for section in card.sections:
        for line in section.lines:
            if line.status or line.group == "base model":
                ends = f"({line.low} to {line.high})"
                say(f"{section.name} {line.group} {line.metric}: {line.estimate} {ends} "
                    f"{line.status}")  # fmt: skip
    for name, each in card.adapters.items():
        say(f"{name}: {'passed' if each.passed else '; '.join(each.reasons)}")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Card]:
    trained = tmp_path_factory.mktemp("planted")
    reports = plant(trained)
    home, lake = a_home(tmp_path_factory.mktemp("gate"))
    card = judged(home, trained, reports, CardSettings(seconds=3600))
    tell(card)
    promote_judged(home, lake, candidate=None)
    return home, card


def test_planted_harm_is_refused_each_for_its_own_reason(published):
    _, card = published
    why = {name: " ".join(each.reasons) for name, each in card.adapters.items()}
    assert "false_premise" in why["sycophantic"]
    assert "reliability" in why["warm_but_wrong"]
    assert "no held-out gain" in why[NO_GAIN]


def test_the_honest_adapter_passes_and_is_all_that_is_published(published):
    home, card = published
    assert card.adapters[SHARED].passed, card.adapters[SHARED].reasons
    assert list(find_adapters(serving(home) / "adapters")) == [SHARED]
