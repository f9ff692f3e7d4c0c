"""Star ratings, in a dialogue or in `turn_feedback.csv`: which run of the supporter, and how."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rapport.errors import RowError
from rapport.ingest.dialogue_rows import Rating, Told
from rapport.ingest.dialogues import Dialogue, Score, whole_score
from rapport.ingest.lines import Line, lines


class RatedLine(NamedTuple):
    """A line below the header."""

    line: Line
    record: Mapping[str, str]
    error: RowError | None
    """Set where the line holds no record."""


def rated_lines(file: Path) -> Iterator[RatedLine]:
    """Lines of a file of ratings, by the names in its header.

    Raises:
        ConfigError: The file cannot be opened.
    """
    header: list[str] | None = None
    for line in lines(file):
        try:
            cells = _cells(line)
        except RowError as error:
            yield RatedLine(line, {}, error)
            continue
        if header is None:
            header = cells
        else:
            yield RatedLine(line, dict(zip(header, cells, strict=False)), None)


def rating_in(dialogue: Dialogue, score: Score) -> Rating:
    """Check a rating that stands in the dialogue, at a turn of the seeker.

    Raises:
        RowError: No rating from 1 to 5, or no supporter's run before it.
    """
    value, turn = whole_score(score.value, field=score.field), score.turn or 0
    run = dialogue.run_before(turn)
    if run is None:
        raise RowError(score.field, "rates no turn of the supporter")
    return Rating(run, turn, value)


def rating_of(rated: RatedLine, told: Told | None) -> tuple[Told, Rating]:
    """Check a line against the dialogue it names, none where nothing was read under that name.

    Raises:
        RowError: No such dialogue, run or turn, or no rating from 1 to 5.
    """
    record = rated.record
    if rated.error:
        raise rated.error
    if told is None:
        raise RowError("dialog_id", "names no dialogue that was read")
    value = whole_score(_cell(record, "feedback"), field="feedback")
    turn, turns = _index(record, "seeker_last_turn"), told.dialogue.turns
    if turn >= len(turns) or turns[turn].role != "user":
        raise RowError("seeker_last_turn", "is no turn of the seeker")
    first, last = (_index(record, f"supporter_{end}_turn") for end in ("first", "last"))
    run = told.dialogue.run_before(turn)
    if run is None or (run.first, run.last) != (first, last):
        raise RowError("supporter_first_turn", "is not the run before the seeker's turn")
    return told, Rating(run, turn, value)


def _cells(line: Line) -> list[str]:
    if line.problem:
        raise RowError("", line.problem)
    try:
        return next(csv.reader([line.text], strict=True))
    except (csv.Error, StopIteration):
        raise RowError("", "is not comma-separated values") from None


def _cell(record: Mapping[str, str], name: str) -> str:
    if not record.get(name):
        raise RowError(name, "is missing")
    return record[name].strip()


def _index(record: Mapping[str, str], name: str) -> int:
    text = _cell(record, name)
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise RowError(name, "is not a turn index")
    return int(text)
