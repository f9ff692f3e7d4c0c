"""How a learner went over its examples: what it was off by in each pass."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LEARNING_FILE = "learning.json"
_DIGITS = 6


@dataclass(frozen=True)
class Learning:
    """Mean loss of each pass over the examples, as it was while the pass went on."""

    loss: str
    """What was measured, in words."""
    examples: int
    learned: tuple[float, ...]
    """[passes] on what was learned from."""
    held_out: tuple[float, ...] = ()
    """[passes] of networks on the users they did not learn from; empty where there are none."""
    constant: float | None = None
    """The loss of always expecting the mean; None where that is no choice."""

    def save(self, folder: Path) -> None:
        """Write `learning.json`."""
        text = json.dumps(asdict(self), indent=1)
        (folder / LEARNING_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Learning | None":
        """Read `learning.json` back; none where there is none, as in earlier releases."""
        path = folder / LEARNING_FILE
        if not path.exists():
            return None
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("learned", "held_out"):
            stated[name] = tuple(stated[name])
        return cls(**stated)


def rounded(losses: list[float]) -> tuple[float, ...]:
    """Losses to six digits, which is what is kept."""
    return tuple(round(loss, _DIGITS) for loss in losses)
