"""ESConv's dialogues with their strategies, for scorers: texts cleaned, crises out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rapport.affect.strategy_training import Talk
from rapport.errors import ConfigError, RowError
from rapport.ingest.dialogues import Dialogue, parse
from rapport.ingest.elements import elements
from rapport.ingest.esconv import DIALOGUES, OPENING
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_TEXT

_FAILED = "failed"


@dataclass(frozen=True)
class Talks:
    """What was read of a file or folder."""

    talks: list[Talk]
    rows: int
    """Dialogues met."""
    skipped: int


def read_talks(path: Path) -> Talks:
    """Read the dialogues of ESConv; its failed ones, whose support went wrong, teach nothing.

    Raises:
        ConfigError: No such file, or no dialogue in it.
    """
    dialogues: list[Dialogue] = []
    rows = 0
    for file in _files(path):
        for element in elements(file, opening=OPENING):
            rows += 1
            try:
                if not element.problem:
                    dialogues.append(parse(element.value, tenant="labelled"))
            except RowError:
                continue
    if not dialogues:
        raise ConfigError("--data", str(path), "it holds no dialogue of ESConv's format")
    cleaned = stored_texts(turn.text for dialogue in dialogues for turn in dialogue.turns)
    talks = [_talk(dialogue, cleaned) for dialogue in dialogues]
    return Talks(talks, rows, rows - len(dialogues))


def holds_talks(path: Path) -> bool:
    """Whether a file or folder has the name of ESConv's dialogues."""
    return any(True for _ in _files(path))


def _talk(dialogue: Dialogue, cleaned: dict[str, str]) -> Talk:
    messages = [
        {
            "role": turn.role,
            "content": cleaned[turn.text],
            **({"arm": turn.arm} if turn.arm else {}),
        }
        for turn in dialogue.turns
        if cleaned[turn.text] != CRISIS_TEXT
    ]
    return Talk(dialogue.dialogue_id, messages)


def _files(path: Path) -> Iterator[Path]:
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if DIALOGUES.fullmatch(file.name) and not file.name.lower().startswith(_FAILED):
            yield file
