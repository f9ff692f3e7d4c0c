"""Format `esconv`: emotional-support dialogues with surveys, star ratings and failed dialogues.

Reads `esconv.jsonl`, `turn_feedback.csv` and `failed_esconv.json`, or `ESConv.json` and
`FailedESConv.json` as published, plain or gzip, as files or in a folder. A file is taken for failed
dialogues, or for ratings, by its name. Only rated runs of the supporter become decisions.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.dialogue_batch import FAILED_SOURCE, KINDS, SOURCE, dialogue_batch
from rapport.ingest.dialogue_rows import Told
from rapport.ingest.dialogues import Score, parse, whole_score
from rapport.ingest.elements import Element, elements
from rapport.ingest.quarantine import Reject, dumped
from rapport.ingest.star_ratings import rated_lines, rating_in, rating_of

DIALOGUES = re.compile(r"(failed_?)?esconv\.jsonl?(\.gz)?", re.IGNORECASE)
_RATINGS = re.compile(r".*\.csv(\.gz)?", re.IGNORECASE)
OPENING = re.compile(
    r'\{\s*"(?:dialog_id|experience_type|emotion_type|problem_type|situation|survey_score|dialog)"\s*:'
)
_LAYOUT = "give esconv.jsonl with turn_feedback.csv and failed_esconv.json, or ESConv.json"


def read_esconv(paths: Sequence[Path], intake: Intake) -> Batch:
    """Read dialogues, ratings and surveys; a faulty score is refused alone, its dialogue stays.

    Raises:
        ConfigError: A path that cannot be read, a folder without any of the files, or rows that
            could be used for nothing.
    """
    intake.purposes_of_all()
    files = [file for path in paths for file in _files(path)]
    reading = _Reading(intake.tenant)
    for file in files:
        if not _RATINGS.fullmatch(file.name):
            reading.dialogues_of(file)
    for file in files:
        if _RATINGS.fullmatch(file.name):
            reading.ratings_of(file)
    return dialogue_batch(reading.told, intake, read=reading.read, rejects=reading.rejects)


@dataclass
class _Reading:
    """What was read so far."""

    tenant: str
    told: list[Told] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    """Dialogues and scores met, good and bad."""
    named: dict[tuple[Path, str], Told] = field(default_factory=dict)
    """By folder and `dialog_id`, as ratings name dialogues."""

    def dialogues_of(self, file: Path) -> None:
        source = FAILED_SOURCE if file.name.lower().startswith("failed") else SOURCE
        for element in elements(file, opening=OPENING):
            position = f"{file.name} {element.position}"
            self.read[KINDS[source]] += 1
            try:
                told = self._told(element, source=source, folder=file.parent)
            except RowError as error:
                self._reject(error, table=KINDS[source], position=position, row=element.text)
                continue
            self.told.append(told)
            self.read["feedback"] += len(told.dialogue.survey) + len(told.dialogue.ratings)
            self._survey(told, position)
            self._ratings(told, position)

    def ratings_of(self, file: Path) -> None:
        for rated in rated_lines(file):
            self.read["feedback"] += 1
            told = self.named.get((file.parent, rated.record.get("dialog_id", "").strip()))
            try:
                rated_told, rating = rating_of(rated, told)
            except RowError as error:
                position = f"{file.name} line {rated.line.number}"
                self._reject(error, table="feedback", position=position, row=rated.line.text)
                continue
            rated_told.ratings.append(rating)

    def _told(self, element: Element, *, source: str, folder: Path) -> Told:
        if element.problem:
            raise RowError("", element.problem)
        told = Told(parse(element.value, tenant=self.tenant), source)
        if told.dialogue.name is not None:
            first = self.named.setdefault((folder, told.dialogue.name), told)
            if first.dialogue.dialogue_id != told.dialogue.dialogue_id:
                raise RowError("dialog_id", "names another dialogue above")
        return told

    def _survey(self, told: Told, position: str) -> None:
        for metric, score in told.dialogue.survey.items():
            try:
                told.survey[metric] = whole_score(score.value, field=score.field)
            except RowError as error:
                self._reject_score(error, score, position=position)

    def _ratings(self, told: Told, position: str) -> None:
        for score in told.dialogue.ratings:
            try:
                told.ratings.append(rating_in(told.dialogue, score))
            except RowError as error:
                self._reject_score(error, score, position=position)

    def _reject_score(self, error: RowError, score: Score, *, position: str) -> None:
        row = dumped({score.field: score.value})
        self._reject(error, table="feedback", position=position, row=row)

    def _reject(self, error: RowError, *, table: str, position: str, row: str) -> None:
        self.rejects.append(Reject.of(error, table=table, position=position, row=row))


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = [
        file
        for file in sorted(path.iterdir())
        if DIALOGUES.fullmatch(file.name) or file.name.startswith("turn_feedback.csv")
    ]
    if not files:
        raise ConfigError("path", str(path), f"it holds no file of this format; {_LAYOUT}")
    yield from files
