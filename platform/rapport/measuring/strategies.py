"""The next strategy in dialogues whose supporters named theirs, with intervals over dialogues."""

from pathlib import Path

import numpy as np

from rapport.affect.held_out import HeldOut, row_hash
from rapport.affect.next_strategy import NAME, NextStrategyScorer
from rapport.affect.strategy_training import Talk
from rapport.ingest.talks import read_talks
from rapport.measuring.agreement import draws
from rapport.measuring.choices import NONE, Choices, Known, measures, values
from rapport.measuring.result import Group, Result

GROUP = "strategy"


def measure_strategies(path: Path, *, scorer: NextStrategyScorer, models: Path) -> Result:
    """Measure on ESConv: for every reply, which strategy was predicted from what came before it.

    A reply that the scorer was trained on is measured by weights fitted without its dialogue, and
    beside TF-IDF and logistic regression fitted on the same folds and shifted by the same share of
    the prior.

    Args:
        path: File or folder.
        scorer: Trained in the home.
        models: Folder of the home's scorers.

    Raises:
        ConfigError: No such file, or no dialogue in it.
    """
    read = read_talks(path)
    places = [
        (group, turn)
        for group, talk in enumerate(read.talks)
        for turn, said in enumerate(talk.messages)
        if said.get("arm") in scorer.arms
    ]
    hashes = [row_hash(read.talks[group].name, str(turn)) for group, turn in places]
    known = Known.of(np.array(hashes, np.uint64), HeldOut.load(models, NAME, scorer.facts))
    choices = _choices(read.talks, places, scorer, known)
    found = measures(values(choices, draws(len(read.talks)), biased=True), choices)
    there = int(known.there.sum())
    return Result(
        task="affect",
        data=path,
        rows=read.rows,
        skipped=read.skipped,
        n=len(places),
        metrics={name: found[name] for name in ("accuracy", "macro_f1", "preference_bias")},
        groups={GROUP: Group(found)},
        notes=(
            f"strategy: {there} of {len(places)} replies are those trained on, each predicted by "
            f"weights fitted without its dialogue; scorer under: {scorer.facts['licence']}",
        ),
    )


def _choices(
    talks: list[Talk], places: list[tuple[int, int]], scorer: NextStrategyScorer, known: Known
) -> Choices:
    held, place = known.held, known.place
    probability, chosen = held.probability[place, 0], held.chosen[place, 0]
    fresh = np.flatnonzero(~known.there)
    if len(fresh):
        before = [talks[group].messages[:turn] for group, turn in (places[row] for row in fresh)]
        probability[fresh] = scorer.strategies(before)
        names = scorer.chosen(probability[fresh])
        chosen[fresh] = [scorer.arms.index(name) for name in names]
    arms = [talks[group].messages[turn]["arm"] for group, turn in places]
    return Choices(
        np.array([group for group, _ in places]),
        np.array([scorer.arms.index(arm) for arm in arms]),
        chosen,
        np.where(known.there, held.peer[place, 0], NONE),
        probability,
    )
