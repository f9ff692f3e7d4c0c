"""The user encoder: one vector a user, that batch jobs compute and serving carries on.

A user vector is float32 `[mean of turn vectors D | behaviour F | log1p(n)]`:

- the decayed mean of the user's turn vectors,
- `log1p` of the decayed counts of `rapport.users.features.FEATURES`,
- `log1p` of n, the decayed number of turns in the mean.

All is decayed to the user's last event. Nothing but this vector and that time is needed to take
in the next event: `observe` gives exactly what encoding the longer timeline would.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.users.aggregate import DAY_S, decayed_sums, latest_sums
from rapport.users.features import FEATURES, Cuts, counts, event_counts, fit_cuts

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]

HALF_LIFE_DAYS = 30.0
_FILE = "user_encoder.json"


@dataclass(frozen=True)
class UserParts:
    """User vectors taken apart: `mean` [N, D], `features` [N, F], `n` [N] >= 0."""

    mean: FloatArray
    features: FloatArray
    n: RealArray


@dataclass(frozen=True)
class UserVectors:
    """U users in order of id: `vectors` [U, D + F + 1], `last_event_ts` in UTC."""

    user_ids: list[str]
    last_event_ts: pl.Series
    vectors: FloatArray


@dataclass(frozen=True)
class UserEncoder:
    """Turns timelines into user vectors; holds the population's percentile cuts and no user.

    Attributes:
        encoder_id: Text encoder that made the turn vectors.
        dim: Length D of a turn vector.
        half_life_days: Days after which an event counts half; higher forgets more slowly.
        cuts: Percentile cut points, fitted once on the population.
    """

    encoder_id: str
    dim: int
    half_life_days: float
    cuts: Cuts

    @classmethod
    def fit(
        cls,
        events: pl.DataFrame,
        *,
        encoder_id: str,
        dim: int,
        half_life_days: float = HALF_LIFE_DAYS,
    ) -> "UserEncoder":
        """Fit the cut points on a population's timeline (see `rapport.users.timelines.events`)."""
        return cls(encoder_id, dim, half_life_days, fit_cuts(events))

    @property
    def width(self) -> int:
        """Length of a user vector: D + F + 1."""
        return self.dim + len(FEATURES) + 1

    def empty(self) -> FloatArray:
        """The vector of somebody who has done nothing yet: zeros."""
        return np.zeros(self.width, np.float32)

    def encode(
        self, events: pl.DataFrame, rows: NDArray[np.int64], vectors: FloatArray
    ) -> UserVectors:
        """Encode every user of a timeline, decayed to the user's last event.

        Args:
            events: A timeline, as `rapport.users.timelines.events` gives it.
            rows: [E] row of `vectors` that holds the event's turn, -1 for none.
            vectors: [N, D] turn vectors.
        """
        users, codes, seconds = _coded(events)
        sums, _ = latest_sums(
            self._increments(events, rows, vectors), codes, seconds, half_life_s=self._half_life_s
        )
        last = events.group_by("user_id", maintain_order=True).agg(pl.col("ts").max())["ts"]
        return UserVectors(users, last, self._finished(sums))

    def encode_before(
        self, events: pl.DataFrame, rows: NDArray[np.int64], vectors: FloatArray
    ) -> FloatArray:
        """The user's vector just before each event: [E, D + F + 1], decayed to the event's time.

        Arguments as in `encode`. Nothing that came with the event or later is in it.
        """
        return self._finished(self._causal_sums(events, rows, vectors)[0])

    def encode_through(
        self, events: pl.DataFrame, rows: NDArray[np.int64], vectors: FloatArray
    ) -> FloatArray:
        """The user's vector just after each event: [E, D + F + 1]; nothing later is in it.

        Arguments as in `encode`. What `observe` gives, event after event.
        """
        before, increments = self._causal_sums(events, rows, vectors)
        return self._finished(before + increments)

    def decayed(self, vector: FloatArray, elapsed_s: float) -> FloatArray:
        """A user vector `elapsed_s` >= 0 seconds later: the mean stays, its weight fades."""
        fade = 2.0 ** (-max(elapsed_s, 0.0) / self._half_life_s)
        tail = np.log1p(np.expm1(vector[self.dim :].astype(np.float64)) * fade)
        return np.concatenate([vector[: self.dim], tail]).astype(np.float32)

    def observe(
        self,
        vector: FloatArray,
        *,
        kind: str,
        elapsed_s: float | None = None,
        value: float | None = None,
        turn_vector: FloatArray | None = None,
    ) -> FloatArray:
        """The user vector after one more event.

        Args:
            vector: As of the user's last event; `empty()` for a new user.
            kind: One of `rapport.users.timelines.KINDS`.
            elapsed_s: Seconds since the last event, none for the first one.
            value: The rating, or the seconds read.
            turn_vector: [D], for a message that may be learned from.
        """
        before = self.decayed(vector, elapsed_s or 0.0)
        seen = np.expm1(before[self.dim :].astype(np.float64))
        seen[:-1] += event_counts(kind, value, elapsed_s, self.cuts)
        mean = before[: self.dim]
        if turn_vector is not None:
            seen[-1] += 1.0
            mean = mean + (turn_vector - mean) / np.float32(seen[-1])
        return np.concatenate([mean, np.log1p(seen)]).astype(np.float32)

    def parts(self, vectors: FloatArray) -> UserParts:
        """Take user vectors [N, D + F + 1] apart."""
        n = np.expm1(vectors[:, -1].astype(np.float64))
        return UserParts(vectors[:, : self.dim], vectors[:, self.dim : -1], n)

    def save(self, folder: Path) -> None:
        """Write the encoder's settings to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        stated = {**asdict(self), "features": FEATURES}
        (folder / _FILE).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "UserEncoder":
        """Read an encoder back.

        Raises:
            DataError: No encoder lies there, or one whose features have another layout.
        """
        try:
            stated = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            cuts = Cuts(**{name: tuple(points) for name, points in stated.pop("cuts").items()})
            features = tuple(stated.pop("features"))
            encoder = cls(cuts=cuts, **stated)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"no user encoder in {str(folder)!r}", "run embed_users") from error
        if features != FEATURES:
            raise DataError(f"{str(folder)!r} encodes users in another layout", "run embed_users")
        return encoder

    @property
    def _half_life_s(self) -> float:
        return self.half_life_days * DAY_S

    def _causal_sums(
        self, events: pl.DataFrame, rows: NDArray[np.int64], vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Decayed sums before each event, and what the event adds."""
        _, codes, seconds = _coded(events)
        added = self._increments(events, rows, vectors)
        return decayed_sums(added, codes, seconds, half_life_s=self._half_life_s), added

    def _increments(
        self, events: pl.DataFrame, rows: NDArray[np.int64], vectors: FloatArray
    ) -> FloatArray:
        told = rows >= 0
        result = np.zeros((len(rows), self.width), np.float32)
        result[told, : self.dim] = vectors[rows[told]]
        result[:, self.dim : -1] = counts(events, self.cuts)
        result[told, -1] = 1.0
        return result

    def _finished(self, sums: FloatArray) -> FloatArray:
        weight = np.maximum(sums[:, -1:], np.float32(1e-12))
        return np.hstack([sums[:, : self.dim] / weight, np.log1p(sums[:, self.dim :])])


def _coded(events: pl.DataFrame) -> tuple[list[str], NDArray[np.int64], RealArray]:
    """User ids in order of appearance, the code of each event's user, and its seconds."""
    ids = events["user_id"].unique(maintain_order=True).to_list()
    codes = events.select(
        (pl.col("user_id") != pl.col("user_id").shift(1)).fill_null(value=False).cum_sum()
    )
    seconds = events["ts"].dt.epoch("us").to_numpy() / 1e6
    return ids, codes.to_series().cast(pl.Int64).to_numpy(), seconds
