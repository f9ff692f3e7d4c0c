"""The approved library: written replies for the arms that the model does not show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rapport.arms import Arm, Menu
from rapport.errors import ConfigError, DataError
from rapport.language.showing import Share, Showing

LIBRARY_FILE = "library.json"


class Library:
    """Which arms are answered from the library, by agent, and the measurement that says so.

    An arm that was never measured counts as not shown: nothing says that the model can do it.
    """

    def __init__(self, showings: Mapping[str, Showing]) -> None:
        """Take one showing an agent id."""
        self.showings = dict(showings)

    def unshown(self, menu: Menu) -> tuple[str, ...]:
        """Served arms of a menu that the library answers, in menu order."""
        return tuple(arm.name for arm in menu.served if self.answers(menu.agent_id, arm.name))

    def answers(self, agent_id: str, arm: str) -> bool:
        """Whether the library, not the model, gives this arm's replies."""
        showing = self.showings.get(agent_id)
        return showing is None or arm not in showing.shown

    def save(self, folder: Path) -> None:
        """Write `library.json`."""
        agents = {
            agent: {**asdict(showing), "shown": list(showing.shown)}
            for agent, showing in sorted(self.showings.items())
        }
        text = json.dumps({"agents": agents}, indent=1)
        (folder / LIBRARY_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Library":
        """Read what `save` wrote.

        Raises:
            DataError: The file is missing or broken.
        """
        path = folder / LIBRARY_FILE
        try:
            agents = json.loads(path.read_text(encoding="utf-8"))["agents"]
            return cls({agent: _showing(values) for agent, values in agents.items()})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{LIBRARY_FILE} cannot be read", "train the adapters again") from error


def approved_reply(arm: Arm, *, used: Sequence[str], seed: int) -> str:
    """Draw one of an arm's approved replies, new in this conversation while there are new ones.

    Args:
        arm: Kind of reply that was drawn.
        used: Replies given in the conversation so far, oldest first.
        seed: Seeds the draw; the same seed and history give the same reply.

    Raises:
        ConfigError: Nobody has written replies for this arm.
    """
    if not arm.replies:
        raise ConfigError("replies", arm.name, "write at least one approved reply for this arm")
    fresh = [reply for reply in arm.replies if reply not in used]
    again = [reply for reply in arm.replies if reply not in used[-1:]]
    choices = fresh or again or list(arm.replies)
    return choices[int(np.random.default_rng(seed).integers(len(choices)))]


def _showing(values: Mapping[str, Any]) -> Showing:
    return Showing(
        chance=float(values["chance"]),
        overall=Share(**values["overall"]),
        arms={name: Share(**found) for name, found in values["arms"].items()},
    )
