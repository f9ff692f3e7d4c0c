"""Fitting personas: a subspace, groups in it, how wide they are, and how sure to be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from rapport.errors import TooLittleDataError
from rapport.personas.model import Habits, PersonaModel
from rapport.personas.names import new_names
from rapport.personas.scatter import Crowd, codes, crowd_of, group_means, is_held, newest
from rapport.personas.select import Choice, choose_k, grouped
from rapport.personas.subspace import Subspace, find_subspace
from rapport.users.features import habits, pooled

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_USERS = 20
_ROUNDS = 15
_SHRINKAGE = 0.1
_TEMPERATURES = np.geomspace(0.25, 4.0, 33)
_FEW = (1, 3, 8)
"""Turns known when the temperature is judged."""


@dataclass(frozen=True)
class _Groups:
    """K Gaussian groups of users: `centroids` [K, d], `log_prior` [K], `spread` >= 0."""

    centroids: RealArray
    log_prior: RealArray
    spread: float


@dataclass(frozen=True)
class People:
    """U users as a fit sees them: what adds up over parts of them, and a row each."""

    crowd: Crowd
    means: NDArray[np.floating]
    """[U, D] mean of each user's turn vectors; float32 will do."""
    n: RealArray
    """[U] turns of each."""
    held: NDArray[np.bool_]
    """[U] whether a user calibrates the temperature."""
    judged: Callable[[Subspace], tuple[RealArray, IntArray]]
    """Turns [M, d] of held users in a subspace, in order of time, and their users' codes [M]."""


def fit(
    turn_vectors: FloatArray,
    turn_users: IntArray,
    *,
    seed: int,
    conversations: IntArray | None = None,
    features: FloatArray | None = None,
    k: int | None = None,
) -> PersonaModel:
    """Find personas in the turns of U users, all held at once; of each the newest 100 count.

    Args:
        turn_vectors: [N, D], each user's in order of time.
        turn_users: [N] codes 0 to U - 1, each used; rows of `features`.
        seed: Same data and seed, same personas and names.
        conversations: [N] codes, each inside one user; none where each user had one.
        features: [U, F] behaviour as in the user vectors; none leaves events out.
        k: Number of personas, none to choose it from the data.

    Raises:
        TooLittleDataError: Fewer than 20 users.
    """
    _check_enough(int(turn_users.max(initial=-1)) + 1)
    talks = turn_users if conversations is None else conversations
    kept = newest(turn_users)
    turn_vectors, turn_users, talks = turn_vectors[kept], turn_users[kept], codes(talks[kept])
    means, n = group_means(turn_vectors, turn_users)
    held = is_held(turn_users)
    people = People(
        crowd=crowd_of(turn_vectors, turn_users, talks, seed=[seed]),
        means=means,
        n=n,
        held=is_held(np.arange(len(n))),
        judged=lambda space: (space.transform(turn_vectors[held]), turn_users[held]),
    )
    return fit_people(people, seed=seed, features=features, k=k)


def fit_people(
    people: People, *, seed: int, features: FloatArray | None = None, k: int | None = None
) -> PersonaModel:
    """Find personas in U users, from what adds up over parts of them.

    Without a direction in which users differ more than by chance there is one persona.
    Arguments and errors as in `fit`. Cost: that of k-means on U points, and O(D^3).
    """
    _check_enough(len(people.n))
    crowd, means, n = people.crowd, people.means, people.n
    space = find_subspace(crowd.whole, strangers=crowd.strangers, dims=k and k - 1)
    points = space.transform(means)
    clear = points * space.clearness
    choice = Choice(k, {}, {}) if k else choose_k(clear, seed=seed)
    groups = _mixture(points, n, _labels(clear, choice.k, seed=seed))
    model = PersonaModel(
        names=new_names(choice.k, seed=seed),
        origin=space.origin,
        projection=space.projection,
        centroids=groups.centroids,
        log_prior=groups.log_prior,
        spread=groups.spread,
        temperature=_temperature(people, k=choice.k, dims=len(space.ratios), seed=seed),
        users=np.zeros(choice.k, np.int64),
        found=_found(space, choice),
    )
    if features is not None and choice.k > 1:
        text = model.posterior(means, n)
        model = replace(model, habits=_habits(features, text))
    assigned = model.posterior(means, n, features).argmax(axis=1)
    return replace(model, users=np.bincount(assigned, minlength=choice.k))


def _check_enough(users: int) -> None:
    if users < LEAST_USERS:
        raise TooLittleDataError("users to find personas in", users, LEAST_USERS)


def _labels(points: RealArray, k: int, *, seed: int) -> IntArray:
    """K-means labels [U] of users [U, d]."""
    if k == 1:
        return np.zeros(len(points), np.int64)
    return np.asarray(grouped(points, k, seed=seed).labels_)


def _mixture(points: RealArray, n: RealArray, labels: IntArray) -> _Groups:
    """Gaussian groups by expectation and maximisation, begun from labels [U].

    A user's mean of n turns scatters about its centroid by `spread + 1 / n` in every direction.
    """
    dims = max(points.shape[1], 1)
    centroids = group_means(points, labels)[0]
    k = len(centroids)
    groups = _Groups(centroids, np.full(k, -np.log(k)), 0.0)
    for _ in range(_ROUNDS):
        share = np.exp(log_softmax(groups.log_prior + _density(points, n, groups), axis=1))
        weight = share * (1.0 / (groups.spread + 1.0 / n))[:, None]
        centroids = weight.T @ points / np.maximum(weight.sum(axis=0), 1e-12)[:, None]
        scatter = (share * _distances(points, centroids)).sum(axis=1)
        prior = (share.sum(axis=0) + 1.0) / (len(points) + k)
        groups = _Groups(centroids, np.log(prior), _spread_of(scatter, n, dims))
    return groups


def _spread_of(scatter: RealArray, n: RealArray, dims: int) -> float:
    """Variance beyond that of averaging n turns, weighted by n."""
    beyond = scatter / dims - 1.0 / n
    return float(max((beyond * n).sum() / n.sum(), 0.0))


def _distances(points: RealArray, centroids: RealArray) -> RealArray:
    return np.asarray(((points[:, None, :] - centroids) ** 2).sum(axis=2))


def _density(points: RealArray, n: RealArray, groups: _Groups) -> RealArray:
    """Log density [U, K] up to the constant of pi."""
    variance = (groups.spread + 1.0 / n)[:, None]
    dims = points.shape[1]
    scaled = _distances(points, groups.centroids) / variance
    return np.asarray(-0.5 * (scaled + dims * np.log(variance)))


def _temperature(people: People, *, k: int, dims: int, seed: int) -> float:
    """The temperature at which few turns of unseen users best foretell their other turns.

    Log loss of the second half of each held-out user's turns, given the posterior from the first
    1, 3 and 8 of the first half, under a model fitted without these users.
    """
    if k == 1:
        return 1.0
    space = find_subspace(people.crowd.rest, dims=dims)
    points, n = space.transform(people.means[~people.held]), people.n[~people.held]
    groups = _mixture(points, n, _labels(points, k, seed=seed))
    turns, owners = people.judged(space)
    losses = sum(
        (_foretelling_losses(turns, codes(owners), few, groups) for few in _FEW),
        start=np.zeros(len(_TEMPERATURES)),
    )
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _foretelling_losses(turns: RealArray, owners: IntArray, few: int, groups: _Groups) -> RealArray:
    """Summed log loss [temperatures] of users with at least twice as many turns as are known."""
    order = np.argsort(owners, kind="stable")
    sizes = np.bincount(owners)
    rank = np.empty(len(owners), np.int64)
    rank[order] = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    enough = (sizes >= 2 * few)[owners]
    first, second = enough & (rank < few), enough & (rank >= (sizes // 2)[owners])
    if not first.any():
        return np.zeros(len(_TEMPERATURES))
    seen, n_seen = group_means(turns[first], codes(owners[first]))
    told, n_told = group_means(turns[second], codes(owners[second]))
    likely = _density(told, n_told, groups)
    fit_seen = seen @ groups.centroids.T - 0.5 * (groups.centroids**2).sum(axis=1)
    evidence = fit_seen / (groups.spread + 1.0 / n_seen)[:, None]
    return np.array(
        [
            -logsumexp(log_softmax(groups.log_prior + evidence / t, axis=1) + likely, axis=1).sum()
            for t in _TEMPERATURES
        ]
    )


def _habits(features: FloatArray, posterior: RealArray) -> Habits:
    """Linear discriminant of habits [U, H] between the personas that the words show.

    Each habit weighs by how much it differs between personas against within them; one that does
    not differ adds nothing.
    """
    population = pooled(features)
    seen = habits(features, population)
    mean = seen.mean(axis=0)
    size = np.maximum(posterior.sum(axis=0), 1e-9)
    moved = posterior.T @ (seen - mean) / size[:, None]
    rest = [seen - mean - row for row in moved]
    inside = sum(
        ((share[:, None] * part).T @ part for share, part in zip(posterior.T, rest, strict=True)),
        start=np.zeros((len(mean), len(mean))),
    ) / len(seen)
    width = len(mean)
    inside = (1 - _SHRINKAGE) * inside + np.eye(width) * (
        _SHRINKAGE * np.trace(inside) / width + 1e-9
    )
    weights = np.linalg.solve(inside, moved.T)
    return Habits(population, mean, weights, -0.5 * (moved * weights.T).sum(axis=1))


def _found(space: Subspace, choice: Choice) -> dict[str, Any]:
    return {
        "topic_directions": space.topics,
        "ratios": [round(float(ratio), 3) for ratio in space.ratios],
        "null_ratio": round(space.null, 3),
        "silhouette": {str(k): round(v, 3) for k, v in choice.silhouette.items()},
        "stability": {str(k): round(v, 3) for k, v in choice.stability.items()},
    }
