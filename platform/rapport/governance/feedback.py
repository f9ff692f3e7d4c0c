"""Kinds of feedback a tenant declares: what each may be, what it says, and what it pays into.

In `<home>/tenants.yaml`, under a tenant:

    metrics:
      nps: {kind: float, low: 0, high: 10, channel: rating}
      resolved: {kind: boolean, channel: task_success}
      stars: {kind: rating}
      remark: {kind: text}
      read_s: {kind: dwell}
      sold_out: {kind: flag, channel: false_premise}

Beside them every tenant has those of `SHIPPED`. The names in `FIXED` are taken, for logs of others
are read under them; of the rest a tenant may declare its own, which then takes the place of ours
and, like any metric, moves no reward unless it names a channel.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rapport.config import Config

Channel = Literal["rating", "thumbs", "task_success", "comment", "outcome"]
"""Channels of the reward that a declared metric may pay into."""
Penalty = Literal["false_premise", "reliance", "timing"]
"""Channels that only ever lower a reward: what was false was affirmed; somebody leans on the agent
alone; a nudge came at the wrong time."""


class BooleanMetric(Config):
    """True is good, false is bad."""

    kind: Literal["boolean"] = "boolean"
    channel: Channel | None = None
    """Channel of the reward it pays into; none: it is kept, and moves no reward."""

    def taken(self, value: float) -> bool:
        """Whether a number is one of this metric."""
        return value in (0, 1)

    def sentiment(self, value: float) -> float | None:
        """What a value says, in [-1, 1]."""
        return 2 * value - 1

    def expects(self) -> str:
        """Name the values that are taken."""
        return "true or false"


class RatingMetric(Config):
    """One to five, as stars are."""

    kind: Literal["rating"] = "rating"
    channel: Channel | None = None
    """As `BooleanMetric.channel`."""

    def taken(self, value: float) -> bool:
        """Whether a number is one of this metric."""
        return 1 <= value <= 5

    def sentiment(self, value: float) -> float | None:
        """What a value says, in [-1, 1]."""
        return (value - 3) / 2

    def expects(self) -> str:
        """Name the values that are taken."""
        return "1 to 5"


class FloatMetric(Config):
    """A number in a range."""

    kind: Literal["float"] = "float"
    low: float = 0.0
    high: float = 1.0
    better: Literal["high", "low"] = "high"
    """Which end of the range is good."""
    channel: Channel | None = None
    """As `BooleanMetric.channel`."""

    @model_validator(mode="after")
    def _a_range(self) -> "FloatMetric":
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self

    def taken(self, value: float) -> bool:
        """Whether a number is one of this metric."""
        return self.low <= value <= self.high

    def sentiment(self, value: float) -> float | None:
        """What a value says, in [-1, 1]: the range, stretched."""
        share = 2 * (value - self.low) / (self.high - self.low) - 1
        return share if self.better == "high" else -share

    def expects(self) -> str:
        """Name the values that are taken."""
        return f"{self.low:g} to {self.high:g}"


class FlagMetric(Config):
    """Whether something is wrong with a reply, however it pleased."""

    kind: Literal["flag"] = "flag"
    channel: Penalty | None = None
    """Penalty of the reward it pays into; none: it is kept, and moves no reward."""

    def taken(self, value: float) -> bool:
        """Whether a number is one of this metric."""
        return value in (0, 1)

    def sentiment(self, value: float) -> float | None:
        """What a value says: -1 where it is raised; nothing good where it is not."""
        return -1.0 if value else None

    def expects(self) -> str:
        """Name the values that are taken."""
        return "true or false"


class DwellMetric(Config):
    """Seconds that a reply was looked at; says nothing until its length is known."""

    kind: Literal["dwell"] = "dwell"
    channel: None = None

    def taken(self, value: float) -> bool:
        """Whether a number is one of this metric: up to a day."""
        return 0 <= value <= 86_400

    def sentiment(self, _value: float) -> float | None:
        """Nothing by itself."""
        return None

    def expects(self) -> str:
        """Name the values that are taken."""
        return "seconds, 0 to 86400"


class TextMetric(Config):
    """Words, redacted before they are kept; their sentiment is read where the user agreed."""

    kind: Literal["text"] = "text"
    channel: Literal["comment"] | None = None
    """`comment` pays the text's sentiment into the reward; none: it is kept."""


NumberMetric = BooleanMetric | RatingMetric | FloatMetric | FlagMetric | DwellMetric
Metric = Annotated[NumberMetric | TextMetric, Field(discriminator="kind")]

SHIPPED: Mapping[str, NumberMetric | TextMetric] = {
    "rating": RatingMetric(channel="rating"),
    "thumbs": BooleanMetric(channel="thumbs"),
    "task_success": BooleanMetric(channel="task_success"),
    "dwell": DwellMetric(),
    "comment": TextMetric(channel="comment"),
    "reward": FloatMetric(low=-1.0, high=1.0),
    "check_in": RatingMetric(channel="outcome"),
    "referral": BooleanMetric(channel="outcome"),
    "false_premise": FlagMetric(channel="false_premise"),
    "reliance": FlagMetric(channel="reliance"),
    **{name: FlagMetric(channel="timing") for name in ("too_early", "too_late", "not_now")},
}
"""Metrics that every tenant has; `reward` is a verdict on the reward's own scale, `check_in` how
somebody is the next day, `referral` whether help he was pointed to was taken up; the last three are
what people say of a nudge that came at the wrong time."""
FIXED = ("rating", "thumbs", "task_success", "dwell", "comment", "reward")
"""Names of `SHIPPED` that mean the same for every tenant."""
