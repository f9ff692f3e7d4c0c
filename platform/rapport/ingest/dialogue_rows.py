"""Accepted dialogues as rows of schema version 1."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rapport.arms import DEFAULT_AGENT
from rapport.governance.redaction import redact
from rapport.ingest.batch import Intake
from rapport.ingest.behaviour import Choice, FloatArray
from rapport.ingest.dialogues import ARMS, Dialogue, Run
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, content_id

ARM_ORDER = tuple(ARMS.values())
POLICY_ID = "human-supporters"
_START = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
_SPREAD_S = 60 * 86_400
_TURN_S = 30
_AFTER_CHAT = ("final_emotion_intensity", "empathy", "relevance", "supporter_relevance")

Row = dict[str, Any]


@dataclass(frozen=True)
class Rating:
    """Stars that a seeker gave to a run of the supporter."""

    run: Run
    turn: int
    """Seeker's turn that carries them."""
    value: int


@dataclass
class Told:
    """A dialogue with those of its scores that are valid."""

    dialogue: Dialogue
    source: str
    survey: dict[str, int] = field(default_factory=dict)
    ratings: list[Rating] = field(default_factory=list)

    @property
    def rated_runs(self) -> list[Run]:
        """Runs with a rating, each once, in order."""
        return sorted({rating.run for rating in self.ratings}, key=lambda run: run.first)


class DialogueRows:
    """Builder of one dialogue's rows.

    The seeker is an anonymous user of his own; the files hold no times, so a clock of half a
    minute a turn stands in, started at a moment that follows from the dialogue's id.
    """

    def __init__(self, told: Told, intake: Intake, *, texts: Mapping[str, str]) -> None:
        self._told, self._dialogue, self._texts = told, told.dialogue, texts
        self._tenant = intake.tenant
        dialogue_id = told.dialogue.dialogue_id
        self._began = _START + dt.timedelta(seconds=_number(dialogue_id) % _SPREAD_S)
        self._types = {kind: redact(label) for kind, label in told.dialogue.types.items()}
        self._user_id = intake.user_key(told.dialogue.name or dialogue_id)
        self._event = {
            "tenant": intake.tenant,
            "ts_source": "estimated",
            "user_id": self._user_id,
            "agent_id": DEFAULT_AGENT,
            "purposes": intake.purposes_of_all(),
            "groups": {"age_band": intake.policy.age_band(None), **self._types},
            "source": told.source,
        }

    def turns(self) -> list[Row]:
        """Every entry of the dialogue is one turn."""
        rows = []
        for index, turn in enumerate(self._dialogue.turns):
            text = self._texts[turn.text]
            row = {
                "ts": self._at(index),
                "conversation_id": self._dialogue.dialogue_id,
                "turn_id": self._id("turn", index),
                "turn_index": index,
                "role": turn.role,
                "text": text,
                "kind": "message",
                "topic": self._types["problem_type"],
                "arm": turn.arm,
                "facet": CRISIS_FACET if text == CRISIS_TEXT else None,
            }
            rows.append({**self._event, **row})
        return rows

    def decision(self, run: Run, probabilities: FloatArray) -> Row:
        """A rated run as a decision over the eight strategies; probabilities [A] as `ARM_ORDER`.

        It stands at the run's last turn, whose strategy is the arm.
        """
        decision_id = self._id("decision", run.last)
        taken = ARM_ORDER.index(str(run.arm))
        shares = probabilities.tolist()
        guard = CRISIS_FACET if self._near_crisis(run) else None
        candidates = [
            {
                "candidate_id": content_id(decision_id, arm),
                "arm": arm,
                "text": self.text(run) if index == taken else None,
                "origin": "log",
                "probability": shares[index],
                "guard": guard,
            }
            for index, arm in enumerate(ARM_ORDER)
        ]
        row = {
            "ts": self._at(run.last),
            "decision_id": decision_id,
            "inference_id": self._id("inference", run.last),
            "episode_id": self._dialogue.dialogue_id,
            "turn_index": run.last,
            "features": {"mixed": float(run.mixed), "run_turns": float(run.last - run.first + 1)},
            "mode": "arm_first",
            "delivered": "full",
            "candidates": candidates,
            "action_index": taken,
            "propensity": shares[taken],
            "propensity_source": "estimated",
            "explored": False,
            "policy_id": POLICY_ID,
        }
        return {**self._event, **row}

    def feedback(self) -> list[Row]:
        """Ratings on decisions, survey scores on the episode."""
        rows = [
            self._feedback("rating", rating.value, self._at(rating.turn), rating=rating)
            for rating in self._told.ratings
        ]
        for metric, value in self._told.survey.items():
            index = len(self._dialogue.turns) + 1 if metric in _AFTER_CHAT else -1
            rows.append(self._feedback(metric, value, self._at(index)))
        return rows

    def user(self) -> Row:
        """What the seeker said of himself before the chat, as his profile."""
        return {
            "tenant": self._tenant,
            "user_id": self._user_id,
            "attributes": self._types,
            "preferences": {},
            "set_by": "user",
            "ts": self._at(-1),
        }

    def choices(self, *, fit: bool) -> list[tuple[Run, Choice]]:
        """Every run of the supporter with what was known before it."""
        result: list[tuple[Run, Choice]] = []
        message, previous = "", ""
        for run in self._dialogue.runs:
            if run.role == "user":
                message = self.text(run)
                continue
            choice = Choice(
                dialogue_id=self._dialogue.dialogue_id,
                position=len(result),
                previous=previous,
                message=message,
                types=self._types,
                arm=ARM_ORDER.index(str(run.arm)),
                fit=fit,
            )
            result.append((run, choice))
            previous = str(run.arm)
        return result

    def text(self, run: Run) -> str:
        """What was said in a run, as it may be stored."""
        said = [self._texts[turn.text] for turn in self._dialogue.turns[run.first : run.last + 1]]
        return CRISIS_TEXT if CRISIS_TEXT in said else " ".join(said)

    def _near_crisis(self, run: Run) -> bool:
        before = [other for other in self._dialogue.runs if other.last < run.first][-1:]
        return any(self.text(near) == CRISIS_TEXT for near in [*before, run])

    def _feedback(
        self, metric: str, value: int, ts: dt.datetime, *, rating: Rating | None = None
    ) -> Row:
        row = {
            "ts": ts + dt.timedelta(seconds=1),
            "feedback_id": self._id(metric, rating.turn if rating else "survey", value),
            "decision_id": self._id("decision", rating.run.last) if rating else None,
            "episode_id": self._dialogue.dialogue_id,
            "metric_name": metric,
            "value": float(value),
        }
        return {**self._event, **row}

    def _at(self, index: int) -> dt.datetime:
        return self._began + dt.timedelta(seconds=_TURN_S * index)

    def _id(self, *parts: object) -> str:
        return content_id(self._dialogue.dialogue_id, *parts)


def _number(dialogue_id: str) -> int:
    return int(dialogue_id[:8], 16)
