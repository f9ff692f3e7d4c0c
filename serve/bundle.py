"""What one release gives to serving, and the watch over which release that is."""

import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from rapport.affect.strategy import StrategyScorer
from rapport.arms import Menu, load_menu
from rapport.canaries import Canary, running
from rapport.errors import RapportError
from rapport.language.adapters import find_adapters
from rapport.language.discriminator import ReplyDiscriminator
from rapport.language.library import Library
from rapport.language.settings import PromptSettings
from rapport.personas.cards import told_to_a_model
from rapport.personas.model import PersonaModel
from rapport.policy.control import in_control
from rapport.policy.features import Layout
from rapport.policy.policy import NOBODY, Policy, uniform_policy
from rapport.release import current, verify
from rapport.users.encoder import UserEncoder

from .judging import MISSING
from .records import Party
from .router import PersonaRouter

SHARED = "shared"
"""The global adapter: answers where no persona stands out."""
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
    prompt: PromptSettings = field(default_factory=PromptSettings)
    cards: Mapping[str, str] = field(default_factory=dict)
    """What prompts of level `context` say of each persona."""
    fault: str | None = None
    """What its policy lacks, for the `degraded` of every decision it takes part in."""
    off: frozenset[tuple[str, str]] = frozenset()
    """(kind, name) of the arms, personas and adapters that people have switched off."""

    @property
    def personas(self) -> tuple[str, ...]:
        """Personas that may be routed to or pinned."""
        return tuple(name for name in self.layout.personas if ("persona", name) not in self.off)

    def menu(self, agent_id: str) -> Menu:
        """Arms of an agent that are not switched off."""
        menu = load_menu(agent_id)
        arms = tuple(arm for arm in menu.arms if ("arm", arm.name) not in self.off)
        return menu.model_copy(update={"arms": arms})

    def without(self, off: Set[tuple[str, str]]) -> "Bundle":
        """Give this bundle with some things switched off.

        An arm is neither drawn nor offered; a persona's share goes to the others, and its adapter
        is not used; whom an adapter answered is answered by the global one, else the base model.
        """
        gone = {name for kind, name in off if kind in ("persona", "adapter")}
        personas = {name for kind, name in off if kind == "persona"}
        adapters = {name: path for name, path in self.adapters.items() if name not in gone}
        router = self.router.without(personas) if self.router else None
        return replace(self, adapters=adapters, router=router, off=frozenset(off))

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

    A release that never held a policy serves all the same, with evenly drawn arms and the NLP
    score alone in `rerank`; every decision of it says so.

    Raises:
        BrokenReleaseError: A file's hash does not hold, or one is missing.
    """
    if folder is None:
        return Bundle(None, uniform_policy(Layout.of([NOBODY])))
    verify(folder)
    personas = PersonaModel.load(folder / "personas")
    has_policy = (folder / "policy").is_dir()
    discriminator = folder / "adapters" / "discriminator.json"
    prompt = PromptSettings.load(folder)
    return Bundle(
        release_id=folder.name,
        policy=(
            Policy.load(folder / "policy")
            if has_policy
            else uniform_policy(Layout.of(personas.names))
        ),
        router=PersonaRouter(personas, UserEncoder.load(folder / "encoder")),
        adapters=find_adapters(folder / "adapters"),
        library=Library.load(folder / "adapters"),
        discriminator=ReplyDiscriminator.load(discriminator) if discriminator.exists() else None,
        strategies=StrategyScorer.load(folder / "strategies"),
        fault=None if has_policy else MISSING,
        prompt=prompt,
        cards=told_to_a_model(folder / "personas") if prompt.level == "context" else {},
    )


@dataclass(frozen=True)
class Refusal:
    """A release that CURRENT or CANARY names and that does not serve."""

    release_id: str
    reason: str


@dataclass(frozen=True)
class Tried:
    """A release that is tried, loaded, and the rules of the trial."""

    canary: Canary
    bundle: Bundle

    def answers(self, party: Party) -> bool:
        """Whether it answers a party: one that may be tried on, not of control, dealt it by hash.

        What its message says plays no part, so that all of a user's messages are answered alike.
        """
        may = party.allows("experiment") and party.explorable and not party.protected
        return may and not in_control(party.user_id) and self.canary.takes(party.user_id)


_FAULTS = (RapportError, OSError, ValueError, KeyError, TypeError)


class Bundles:
    """The bundles that serve now. `refresh` swaps them when CURRENT or CANARY has changed.

    A release that cannot be loaded is refused, the old one keeps serving, and `refusal` says so
    until CURRENT names another; a canary that cannot be loaded answers nobody. Thread-safe; one
    look at a time.
    """

    def __init__(self, releases: Path) -> None:
        self._releases, self._lock = releases, threading.Lock()
        self._whole = load_bundle(None)
        self._tried: Tried | None = None
        self.refusal: Refusal | None = None
        self.canary_refusal: Refusal | None = None
        self.refused = 0
        """How many releases were refused since the start."""
        self.now = self._whole
        """What serves: the release without what is switched off."""
        self.tried: Tried | None = None
        """What is tried beside it, without what is switched off."""
        self.refresh()

    def refresh(self) -> bool:
        """Look at CURRENT and CANARY once; True when another release serves now."""
        with self._lock:
            swapped = self._refresh_current()
            self._refresh_canary()
            return swapped

    def _refresh_current(self) -> bool:
        name: str | None = None
        try:
            folder = current(self._releases)
            name = folder.name if folder else None
            if self.refusal and self.refusal.release_id == name:
                return False
            self.refusal = None
            if name == self._whole.release_id:
                return False
            self._whole = load_bundle(folder)
        except _FAULTS as error:
            self._refuse(name or str(getattr(error, "release_id", "")), str(error))
            return False
        self.tried = None  # whatever was tried was tried against another release
        self.now = self._whole.without(self.now.off)
        return True

    def _refresh_canary(self) -> None:
        name = ""
        try:
            found = running(self._releases)
            if found is not None and found.against != self._whole.release_id:
                found = None
            if found == (self._tried and self._tried.canary):
                self.tried = self._switched()
                return
            name = found.release if found else ""
            if self.canary_refusal and found and self.canary_refusal.release_id == name:
                return
            self._tried = None
            if found is not None:
                self._tried = Tried(found, load_bundle(self._releases / name))
            self.canary_refusal = None
        except _FAULTS as error:
            self._tried, self.canary_refusal = None, Refusal(name, str(error))
        self.tried = self._switched()

    def _switched(self) -> Tried | None:
        tried = self._tried
        return tried and replace(tried, bundle=tried.bundle.without(self.now.off))

    def dealt(self, party: Party, *, upstream: str | None = None) -> Bundle:
        """The bundle that answers a party: what serves, or what is tried.

        Args:
            party: Who is talking.
            upstream: Model of the upstream that writes; a release made for another is not tried.
        """
        now, tried = self.now, self.tried
        if tried is None or not tried.answers(party):
            return now
        fits = upstream is None or tried.bundle.prompt.upstream_model == upstream
        return tried.bundle if fits else now

    @property
    def shadow(self) -> Bundle | None:
        """The release that is tried on nobody, only beside the one that serves."""
        tried = self.tried
        return tried.bundle if tried and not tried.canary.share else None

    def switch(self, off: Set[tuple[str, str]]) -> bool:
        """Serve without what is switched off; True when that changed anything."""
        with self._lock:
            if off == self.now.off:
                return False
            self.now = self._whole.without(off)
            self.tried = self._switched()
            return True

    def _refuse(self, release_id: str, reason: str) -> None:
        if self.refusal is None or self.refusal.release_id != release_id:
            self.refused += 1
        self.refusal = Refusal(release_id, reason)
