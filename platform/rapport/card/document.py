"""The empathy card: does a release help, and whom does it harm? What `card.json` holds."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rapport.errors import BrokenReleaseError
from rapport.release_manifest import CARD

VERSION = 1
"""Of the layout of `card.json`; raised when a field changes its meaning or goes."""
Status = Literal["passed", "refused", "inherited", "too little data", "not measured"]
"""`inherited`: a limit is broken, and by the base model no less, so that nothing of the release is
what is to be mended, and leaving it out would mend nothing."""
ADAPTER = "adapter/"
"""Start of the group of a line about an adapter."""
_WORST_FIRST: tuple[Status, ...] = (
    "refused", "inherited", "too little data", "not measured", "passed",
)  # fmt: skip
Question = Literal["helps", "harms"]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Line(_Facts):
    """One measured number, what it was held to, and what came of it."""

    group: str
    """Of whom: `overall`, `persona/maple-79`, `adapter/shared`, a rung of the ladder."""
    metric: str
    """What, with its unit."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    users: int | None = None
    ess: float | None = None
    """Effective sample size, where rows are weighted."""
    bound: float | None = None
    """What the interval had to keep clear of."""
    status: Status | None = None
    """None where the number is told and not judged."""
    note: str = ""


class Section(_Facts):
    """One part of the answer, with one verdict."""

    name: str
    title: str
    question: Question
    status: Status
    reason: str
    """Why this status, in words."""
    interval: str = ""
    """What low and high are."""
    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()


class AdapterVerdict(_Facts):
    """Whether an adapter may serve; one that may not is replaced when the release is published."""

    passed: bool
    reasons: tuple[str, ...] = ()
    """Why not; empty when it passed."""


class Lineage(_Facts):
    """What the release was made of; of people only how many there were."""

    code_version: str
    users: Mapping[str, int]
    """How many users each part learned from."""
    table_versions: Mapping[str, int]
    sources: Mapping[str, int]
    """Decisions that may be learned from, by where they come from."""
    models: Mapping[str, str]
    """Name and hash of each model by its address."""
    licences: Mapping[str, str]
    """Of models, scorers and logs, as far as they are known."""


class Card(_Facts):
    """The whole card."""

    version: int = VERSION
    candidate: str
    """Id of what was judged; a release in which a part was replaced has another."""
    judged: datetime
    status: Status
    reason: str
    sections: tuple[Section, ...]
    adapters: Mapping[str, AdapterVerdict]
    """By name: `shared`, and those of personas. The gate reads them."""
    cannot_say: tuple[str, ...]
    """What nothing on this card shows."""
    lineage: Lineage

    def section(self, name: str) -> Section:
        """The section of a name.

        Raises:
            KeyError: There is none.
        """
        found = next((each for each in self.sections if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def of(self, question: Question) -> list[Section]:
        """The sections that answer one of the two questions."""
        return [each for each in self.sections if each.question == question]


def worst(found: Iterable[Status]) -> Status:
    """The status that stands for several: refused before anything, passed only where all are."""
    held = set(found)
    return next((status for status in _WORST_FIRST if status in held), "not measured")


def not_measured(name: str, title: str, question: Question, reason: str) -> Section:
    """A section that says why it is empty."""
    return Section(name=name, title=title, question=question, status="not measured", reason=reason)


def to_text(card: Card) -> str:
    """The text of `card.json`."""
    return card.model_dump_json(indent=1) + "\n"


def read_card(folder: Path) -> Card | None:
    """The card of a release or candidate; none where it was made before there were cards.

    Raises:
        BrokenReleaseError: It cannot be read.
    """
    path = folder / CARD
    if not path.exists():
        return None
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BrokenReleaseError(folder.name, CARD, "it cannot be read") from error
