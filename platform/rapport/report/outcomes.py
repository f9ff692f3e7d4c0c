"""Means with intervals over users, for whatever tells rows apart."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.evaluation.intervals import Bootstrap, Terms, estimates

BY = Bootstrap(resamples=500)
LEAST_USERS = 5
"""Fewer users get no interval and no line: it would say more about them than about the group."""


def means(
    labels: NDArray[np.str_],
    values: NDArray[np.float64],
    users: NDArray[np.str_],
    *,
    once: bool = False,
) -> pl.DataFrame:
    """Mean of the values under each label with a 95 % interval, resampled by user.

    Args:
        labels: [N]; the empty one is no group.
        values: [N]; nan is left out.
        users: [N].
        once: Whether each user counts once under a label, however many rows are his.

    Returns:
        `label, value, low, high, n, users` by label, for labels of at least `LEAST_USERS` users.
    """
    known = ~np.isnan(values)
    names, terms = [], []
    for name in np.unique(labels):
        rows = known & (labels == name)
        if name and len(np.unique(users[rows])) >= LEAST_USERS:
            names.append(str(name))
            terms.append((counted_once if once else _mean)(values[rows], users[rows]))
    found = estimates(terms, BY) if terms else []
    return pl.DataFrame(
        {
            "label": names,
            "value": [each.value for each in found],
            "low": [each.low for each in found],
            "high": [each.high for each in found],
            "n": [each.n for each in found],
            "users": [each.users for each in found],
        },
        schema={
            "label": pl.String,
            **dict.fromkeys(("value", "low", "high"), pl.Float64),
            **dict.fromkeys(("n", "users"), pl.Int64),
        },
    )


def counted_once(values: NDArray[np.float64], users: NDArray[np.str_]) -> Terms:
    """The mean of users' means: each counts once, however many of the values [N] are his."""
    _, code = np.unique(users, return_inverse=True)
    part = 1.0 / np.bincount(code)[code]
    return Terms((part * values)[None], part[None], users, part)


def _mean(values: NDArray[np.float64], users: NDArray[np.str_]) -> Terms:
    one = np.ones(len(values))
    return Terms(values[None], one[None], users, one)


def intervals(rows: pl.DataFrame) -> list[tuple[float, float, float]]:
    """Value, low and high of each row, as a plot of estimates takes them."""
    return [(row["value"], row["low"], row["high"]) for row in rows.iter_rows(named=True)]


def labelled(rows: pl.DataFrame) -> list[str]:
    """Labels that carry their n."""
    return [f"{row['label']} (n {row['n']:,})" for row in rows.iter_rows(named=True)]


def binned(expected: NDArray[np.float64], bins: int = 10) -> NDArray[np.intp]:
    """[N] place of each value among quantiles of them all, 0 the lowest."""
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, expected, side="right")


def counted(column: Iterable[str | None]) -> Mapping[str, int]:
    """How often each value occurs, most frequent first; none is `unknown`."""
    values = pl.Series([value or "unknown" for value in column], dtype=pl.String)
    found = values.value_counts(sort=True).rows()
    return dict(found)
