"""Personas against the truth of a simulated log: are its hidden kinds found, and found again?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import ConfigError
from rapport.language.showing import recovered
from rapport.measuring.agreement import SEED, agreement, draws, measured
from rapport.measuring.people import People, messages, people_of
from rapport.measuring.released import Released
from rapport.measuring.result import Group, Measure, Result, existing
from rapport.personas.model import PersonaModel
from rapport.progress import progress
from rapport.simulation.logs import SimulatedLog, read
from rapport.text import TextEncoder
from rapport.users.encoder import UserEncoder

TRUTH = "truth/users.parquet"
REFITS = 10
LIMIT = 1_500
"""Users that are measured, at random where there are more."""
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def measure_personas(
    folder: Path, encoder: TextEncoder, *, release: Released | None = None, limit: int = LIMIT
) -> Result:
    """Measure personas on a folder that `rapport simulate` made.

    About two minutes for 1,500 users of 20 turns on two cores.

    Args:
        folder: Log and truth.
        encoder: Text encoder; the release's where there is one.
        release: Its personas are measured; none fits them on the folder first.
        limit: Most users.

    Returns:
        `adjusted_rand_index` of found and true personas, `topic_adjusted_rand_index` of found
        personas and the topics people mostly write about, and `stability`: the mean adjusted Rand
        index with the personas of 10 fits on random halves of the users, everybody assigned.
        Groups are the personas, each with its `purity`, the share of its commonest true persona,
        with Wilson's interval. The other intervals are by bootstrap over users, for `stability`
        over the fits too.

    Raises:
        ConfigError: No such folder, no truth in it, or a release of another text encoder.
        DataError: Its files are broken.
        TooLittleDataError: Fewer users than fits on their halves need.
    """
    if not (existing(folder) / TRUTH).is_file():
        remedy = "it is no simulated log with its truth; make one with rapport simulate"
        raise ConfigError("--data", str(folder), remedy)
    log = read(folder)
    truth = log.truth[np.sort(np.random.default_rng(SEED).permutation(log.truth.height)[:limit])]
    people, model = _modelled(log, truth["user_id"].to_list(), encoder, release)
    truth = truth.filter(pl.col("user_id").is_in(people.user_ids)).sort("user_id")
    found, rows = people.assigned(model), messages(log).height
    return Result(
        task="personas",
        data=folder,
        rows=rows,
        skipped=rows - len(people.vectors),
        n=len(found),
        metrics=_metrics(found, truth, _refits(people)),
        groups=_groups(model, found, truth["persona"].to_numpy()),
        release=release.manifest.release_id if release else None,
        notes=(
            f"personas of release {release.name}"
            if release
            else "no release: personas were fitted on this folder, as segment_personas would",
            f"{len(model.names)} found, {truth['persona'].n_unique()} true; {log.truth.height} "
            f"users in the folder, {len(found)} measured",
            f"stability: {REFITS} fits on random halves of them, {len(found) // 2} users each",
        ),
    )


def _modelled(
    log: SimulatedLog, user_ids: Sequence[str], encoder: TextEncoder, release: Released | None
) -> tuple[People, PersonaModel]:
    """The people, and the release's personas or those that are fitted on them."""
    if release is None:
        people = people_of(log, user_ids, encoder)
        return people, people.fitted(np.ones(len(people.user_ids), bool), seed=SEED)
    model = PersonaModel.load(release.folder / "personas")
    if model.encoder_id != encoder.encoder_id:
        remedy = f"its personas read vectors of {model.encoder_id}, not of {encoder.encoder_id}"
        raise ConfigError("--release", release.name, remedy)
    return people_of(log, user_ids, encoder, UserEncoder.load(release.folder / "encoder")), model


def _metrics(
    found: IntArray, truth: pl.DataFrame, refits: Sequence[IntArray]
) -> dict[str, Measure]:
    weight = draws(len(found))
    kinds = truth["persona"].to_numpy().astype(np.int64)
    topics = np.unique(truth["topic"].to_numpy(), return_inverse=True)[1]
    return {
        "adjusted_rand_index": measured(agreement(found, kinds, weight), len(found)),
        "stability": _stability(found, refits, weight),
        "topic_adjusted_rand_index": measured(agreement(found, topics, weight), len(found)),
    }


def _refits(people: People, times: int = REFITS) -> list[IntArray]:
    """What fits on halves of the users make of everybody."""
    users, generator = len(people.user_ids), np.random.default_rng(SEED)
    found = []
    with progress("fitting personas again", times) as advance:
        for seed in range(times):
            half = np.zeros(users, bool)
            half[generator.permutation(users)[: users // 2]] = True
            found.append(people.assigned(people.fitted(half, seed=seed)))
            advance(1)
    return found


def _stability(found: IntArray, refits: Sequence[IntArray], weight: FloatArray) -> Measure:
    table = np.stack([agreement(found, refit, weight) for refit in refits])  # [B, 1 + R]
    if all(len(np.unique(codes)) == 1 for codes in (found, *refits)):
        # One persona for everybody every time: nothing is found again, nor lost.
        return Measure(1.0, None, None, len(found))
    generator = np.random.default_rng(SEED)
    taken = generator.integers(len(refits), size=(len(weight) - 1, len(refits)))
    drawn = table[taken.T, np.arange(1, len(weight))].mean(axis=0)
    return measured(np.concatenate([table[:, :1].mean(axis=0), drawn]), len(found))


def _groups(model: PersonaModel, found: IntArray, kinds: IntArray) -> dict[str, Group]:
    """Personas that somebody was assigned to, with the share of their commonest true kind."""
    groups = {}
    for place, name in enumerate(model.names):
        own = kinds[found == place]
        if len(own):
            pure = recovered(int(np.bincount(own).max()), len(own))
            groups[name] = Group({"purity": Measure(pure.share, pure.low, pure.high, pure.n)})
    return groups
