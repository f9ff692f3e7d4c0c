"""What one release gives to serving, and the watch over which release that is."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rapport.affect.strategy import StrategyScorer
from rapport.errors import RapportError
from rapport.language.adapters import find_adapters
from rapport.language.discriminator import ReplyDiscriminator
from rapport.language.library import Library
from rapport.personas.model import PersonaModel
from rapport.policy.features import Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.release import current, verify
from rapport.users.encoder import UserEncoder

from .router import PersonaRouter

SHARED = "shared"
"""The global adapter: answers where no persona stands out."""
NOBODY = "everyone"
"""The one persona there is without a release."""
MARGIN_FLOOR = 0.2
"""Below this margin between the two likeliest personas the global adapter answers."""


@dataclass(frozen=True)
class Bundle:
    """A release, loaded; immutable, so a request in flight keeps the one it started with."""

    release_id: str | None
    policy: Policy
    router: PersonaRouter | None = None
    adapters: Mapping[str, Path] = field(default_factory=dict)
    library: Library = field(default_factory=lambda: Library({}))
    discriminator: ReplyDiscriminator | None = None
    strategies: StrategyScorer | None = None

    @property
    def layout(self) -> Layout:
        """Columns of the policy's states."""
        return self.policy.layout

    def adapter(self, persona_id: str | None, margin: float) -> tuple[str | None, str | None]:
        """Name and folder of the adapter that answers: a persona's, or the global one."""
        sure = margin >= MARGIN_FLOOR
        for name in (persona_id if sure else None, SHARED):
            if name and name in self.adapters:
                return f"{self.release_id}/{name}", str(self.adapters[name])
        return None, None


def load_bundle(folder: Path | None) -> Bundle:
    """Load a release; without one, the base model and evenly drawn arms.

    Raises:
        BrokenReleaseError: A file's hash does not hold, or one is missing.
    """
    if folder is None:
        return Bundle(None, uniform_policy(Layout.of([NOBODY])))
    verify(folder)
    discriminator = folder / "adapters" / "discriminator.json"
    return Bundle(
        release_id=folder.name,
        policy=Policy.load(folder / "policy"),
        router=PersonaRouter(
            PersonaModel.load(folder / "personas"), UserEncoder.load(folder / "encoder")
        ),
        adapters=find_adapters(folder / "adapters"),
        library=Library.load(folder / "adapters"),
        discriminator=ReplyDiscriminator.load(discriminator) if discriminator.exists() else None,
        strategies=StrategyScorer.load(folder / "strategies"),
    )


class Bundles:
    """The bundle that serves now. `refresh` swaps it when CURRENT has changed.

    A release that cannot be loaded is refused and counted; the old one keeps serving.
    """

    def __init__(self, releases: Path) -> None:
        self._releases, self._lock = releases, threading.Lock()
        self._refused: set[str] = set()
        self.refusals: list[str] = []
        """Why releases were refused, newest last."""
        self.now = load_bundle(None)
        self.refresh()

    def refresh(self) -> bool:
        """Look at CURRENT once; True when another release serves now."""
        with self._lock:
            try:
                folder = current(self._releases)
                name = folder.name if folder else None
                if name == self.now.release_id or name in self._refused:
                    return False
                self.now = load_bundle(folder)
            except (RapportError, OSError, json.JSONDecodeError) as error:
                self.refusals.append(str(error))
                self._refused.add(getattr(error, "release_id", ""))
                return False
            return True
