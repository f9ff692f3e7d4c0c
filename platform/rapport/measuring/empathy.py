"""Empathy scorer against people's ratings: EPITOME's mechanisms, with intervals over posts."""

from pathlib import Path

import numpy as np

from rapport.affect.empathy import NAME, EmpathyScorer
from rapport.affect.empathy_training import row_hashes
from rapport.affect.epitome import MECHANISMS, UNRATED, Pairs, read_pairs
from rapport.affect.held_out import HeldOut
from rapport.measuring.agreement import draws, measured
from rapport.measuring.choices import NONE, Choices, Known, measures, values
from rapport.measuring.result import Group, Result


def measure_empathy(path: Path, *, scorer: EmpathyScorer, models: Path) -> Result:
    """Measure on a file of EPITOME or a folder of them; groups are the mechanisms.

    A pair that the scorer was trained on is measured by weights fitted without its post, and
    beside TF-IDF and logistic regression fitted on the same folds. The result's `macro_f1` is the
    mean over the mechanisms.

    Args:
        path: File or folder.
        scorer: Trained in the home.
        models: Folder of the home's scorers.

    Raises:
        ConfigError: No such file, or no pair in it.
    """
    pairs = read_pairs(path)
    known = Known.of(row_hashes(pairs), HeldOut.load(models, NAME, scorer.facts))
    drawn = draws(int(pairs.post_ids.max()) + 1)
    groups, each = {}, []
    for place, choices in _choices(pairs, scorer, known).items():
        found = values(choices, drawn, biased=False)
        groups[MECHANISMS[place]] = Group(measures(found, choices))
        each.append(found["macro_f1"])
    there = int(known.there.sum())
    return Result(
        task="affect",
        data=path,
        rows=pairs.rows,
        skipped=pairs.skipped,
        n=len(pairs.posts),
        metrics={"macro_f1": measured(np.mean(each, axis=0), len(pairs.posts))},
        groups=groups,
        notes=(
            f"empathy: {there} of {len(pairs.posts)} pairs are those trained on, each read by "
            f"weights fitted without its post; scorer under: {scorer.facts['licence']}",
        ),
    )


def _choices(pairs: Pairs, scorer: EmpathyScorer, known: Known) -> dict[int, Choices]:
    """By number of the mechanism, for those that were rated."""
    held, place = known.held, known.place
    probability, chosen = held.probability[place], held.chosen[place]
    fresh = np.flatnonzero(~known.there)
    if len(fresh):
        posts, replies = ([texts[row] for row in fresh] for texts in (pairs.posts, pairs.replies))
        probability[fresh] = scorer.probabilities(posts, replies)
        chosen[fresh] = scorer.chosen(probability[fresh])
    peer = np.where(known.there[:, None], held.peer[place], NONE)
    found = {}
    for number in range(len(MECHANISMS)):
        rated = pairs.levels[:, number] != UNRATED
        if rated.any():
            found[number] = Choices(
                pairs.post_ids[rated],
                pairs.levels[rated, number],
                chosen[rated, number],
                peer[rated, number],
                probability[rated, number],
            )
    return found
