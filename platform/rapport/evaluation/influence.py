"""Means over people that no one person moves far: by a cap, by counting once, or the far ones less.

A mean over rows belongs to whoever has most of them. With each user counting once, users who say
whatever they like move a mean in [-1, 1] by at most twice their share: 1 % by .02. The robust mean
halves that at least, wherever most people are alike.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import ConfigError
from rapport.evaluation.intervals import FloatArray

_NORMAL, _FAR = 1.4826, 1.0
"""From the median deviation to a standard deviation; how many of these count in full. Of normal
users' means the robust mean then keeps 90 % of the plain one's precision."""
_WIDEST = 0.25
"""Reward units that count in full at most: users who differ more are not taken at their word."""
_ROUNDS, _SAME = 200, 1e-10
USER_CAP = 1.0
"""Times the average user's weight that one user may have, see `restrained`. At 1 each counts once,
and a share e of users holds e of the weight, at 2 at most 2 e. What that costs where people differ
in how much they say, on ESConv's lengths: 25 % of the standard error at 1, nothing at 2."""


def restrained(weight: FloatArray, user: NDArray[np.intp], *, most: float = USER_CAP) -> FloatArray:
    """The weights [N] of rows, lowered for users who have more than `most` times the average user.

    The cap is the largest c with `c <= most * mean_u min(total_u, c)`, so that it holds of what is
    left, too: whoever sends ever more rows does not raise his own cap without end.

    Args:
        weight: [N] > 0.
        user: [N] whole numbers from 0, such as codes of labels.
        most: At least 1, which counts each user once; infinite changes nothing.

    Returns:
        The same array where nobody is above the cap.

    Raises:
        ConfigError: `most` is below 1.
    """
    if most < 1:
        raise ConfigError("user_cap", most, "give 1, each user once, or more")
    total = np.bincount(user, weights=weight)
    told = np.sort(total[total > 0])
    lower, above = np.cumsum(told), len(told) - 1 - np.arange(len(told))
    room = most * (lower + above * told) / max(len(told), 1) - told
    fits = np.flatnonzero(room >= -_SAME * told)
    if not len(told) or fits[-1] == len(told) - 1:
        return weight
    last = fits[-1]
    cap = most * lower[last] / (len(told) - most * above[last])
    return np.asarray(weight * np.minimum(1.0, cap / np.maximum(total, _SAME))[user])


def user_means(value: FloatArray, user: NDArray[Any]) -> FloatArray:
    """Mean [U] of each user's values [N], in order of user; nan is left out, and who has no other.

    Args:
        value: [N] rewards.
        user: [N] labels.
    """
    told = ~np.isnan(value)
    _, code = np.unique(user[told], return_inverse=True)
    return np.asarray(np.bincount(code, weights=value[told]) / np.bincount(code))


def equal_mean(value: FloatArray, user: NDArray[Any]) -> float:
    """Mean of the users' means: each user counts once, however many rows are his; nan of none."""
    means = user_means(value, user)
    return float(means.mean()) if len(means) else float("nan")


def robust_mean(value: FloatArray, user: NDArray[Any]) -> float:
    """What a typical user's rewards come to: Huber's mean of the users' means; nan of none.

    Means further away than `k = min(s, .25)` count as if they lay at k; s is the standard deviation
    that their median deviation stands for. A share e of users moves it by about `2 k e` over the
    share that lies within k: 1 % by .01 at most while s stays below .3, and by .01 on average of
    logs while people themselves differ by .3. Beyond, nothing helps: the median, whose largest
    possible bias is the least of all, moves by 2.5 s e on average and by more in single logs. Where
    people fall into two camps it follows the larger one and is as easily moved, and where few are
    far off on one side it leaves them out in part; so it stands beside `equal_mean` to tell whether
    a few pull, and is no substitute.

    Source: Huber, Annals of Mathematical Statistics 35, 1964.
    """
    means = user_means(value, user)
    if not len(means):
        return float("nan")
    middle = float(np.median(means))
    near = min(_FAR * _NORMAL * float(np.median(np.abs(means - middle))), _WIDEST)
    for _ in range(_ROUNDS):
        step = float(np.clip(means - middle, -near, near).mean())
        middle += step
        if abs(step) < _SAME:
            break
    return middle
