"""What the guard says of a text."""

from typing import Literal, NamedTuple

Kind = Literal[
    "safe",
    "crisis",
    "empty",
    "harmful_instruction",
    "abuse",
    "pii",
    "degenerate",
    "guilt_on_goodbye",
    "claims_feelings_or_past",
]


class Verdict(NamedTuple):
    """What was found in a text."""

    kind: Kind
    rule: str | None = None
    """Name of the rule, or `model`; never a piece of the text."""

    @property
    def safe(self) -> bool:
        """Whether nothing was found."""
        return self.kind == "safe"


SAFE = Verdict("safe")
