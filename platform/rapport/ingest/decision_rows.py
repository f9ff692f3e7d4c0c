"""Logged decisions as rows: the decision, the turns around it, what came back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rapport.errors import RowError
from rapport.ingest.batch import Intake
from rapport.ingest.choices import Choice, parse_choice
from rapport.ingest.fields import Record, identifier, moment, numbers, real, text, whole
from rapport.ingest.places import Placed, placed
from rapport.ingest.quarantine import dumped
from rapport.ingest.spoken import (
    Opinion,
    Spoken,
    agent_of,
    conversation_key,
    labels,
    who,
)
from rapport.ingest.spoken_batch import event_of, feedback_of, turn_of
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, content_id

Row = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """One decision, checked but for the rules of the table."""

    decision_id: str
    choice: Choice
    message: Spoken | None
    reply: Spoken
    """Where the decision stands; without text where the log has none."""
    columns: tuple[tuple[str, Any], ...]
    """Further columns of the row."""
    position: str
    shown: str


@dataclass(frozen=True)
class DecidedRows:
    """Rows that a decision becomes."""

    decided: Decided
    decision: Row
    turns: Sequence[Row]
    feedback: Sequence[Row]


def parse_decision(
    record: Record,
    intake: Intake,
    *,
    opinions: tuple[Opinion, ...],
    position: str,
    shown: str,
    source: str,
) -> Decided:
    """Read one record of the format `source`.

    Raises:
        RowError: A field is missing or not what it must be.
    """
    owner, ts = who(record, intake), moment(record, "timestamp")
    choice = parse_choice(record, intake, agent_id=agent_of(owner))
    asked, answer = text(record, "message"), _reply(record, choice)
    index = whole(record, "turn_index")
    own, name = identifier(record, "decision_id"), identifier(record, "conversation_id")
    content = own or _content(record, choice, place=str(ts or index or ""))
    conversation = (
        conversation_key(intake.tenant, name)
        if name is not None
        else content_id(intake.tenant, source, owner.user_id, content)
    )
    reply = Spoken(
        conversation_id=conversation,
        identity=("reply", content),
        who=owner,
        role="assistant",
        text=answer,
        index=_place(index, asked),
        ts=ts,
        labels=tuple(pair for pair in labels(record, intake) if pair[0] != "arm"),
        opinions=opinions,
        alone=name is not None,
    )
    place = None if reply.index is None else reply.index - 1
    message = replace(reply, identity=("message", content), role="user", text=asked, index=place)
    return Decided(
        decision_id=content_id(intake.tenant, source, conversation, content),
        choice=choice,
        message=replace(message, opinions=()) if asked else None,
        reply=reply,
        columns=tuple(_columns(record, choice).items()),
        position=position,
        shown=shown,
    )


def decision_rows(decided: Sequence[Decided], intake: Intake, *, source: str) -> list[DecidedRows]:
    """Rows of some decisions, in their order."""
    spoken = [one for each in decided for one in (each.message, each.reply) if one is not None]
    places = {
        (one.spoken.conversation_id, one.spoken.identity): one
        for one in placed(spoken, intake, source=source)
    }
    stored = stored_texts(_texts(decided))
    events = {key: event_of(one, intake, source=source) for key, one in places.items()}
    return [_rows(one, places, events, stored) for one in decided]


def _rows(
    one: Decided,
    places: Mapping[tuple[str, tuple[str, ...]], Placed],
    events: Mapping[tuple[str, tuple[str, ...]], Row],
    stored: Mapping[str, str],
) -> DecidedRows:
    def key(turn: Spoken) -> tuple[str, tuple[str, ...]]:
        return turn.conversation_id, turn.identity

    reply = places[key(one.reply)]
    said = [reply] if one.reply.text is not None else []
    if one.message is not None:
        said = [places[key(one.message)], *said]
    texts = [stored[turn.spoken.text] for turn in said if turn.spoken.text is not None]
    guard = CRISIS_FACET if CRISIS_TEXT in texts else None
    event = events[key(one.reply)]
    arm = one.choice.arm
    turns = [{**events[key(turn.spoken)], **turn_of(turn, stored)} for turn in said]
    for turn in turns:
        turn["arm"] = arm if turn["role"] == "assistant" else None
    decision = {
        **event,
        "decision_id": one.decision_id,
        "inference_id": content_id(one.decision_id, "inference"),
        "episode_id": one.reply.conversation_id,
        "turn_index": reply.index,
        "candidates": _candidates(one, stored, guard),
        "action_index": one.choice.taken,
        "propensity": one.choice.candidates[one.choice.taken]["probability"],
        "propensity_source": "logged",
        **dict(one.columns),
    }
    feedback = [
        {**event, **row, "decision_id": one.decision_id} for row in feedback_of(reply, stored)
    ]
    return DecidedRows(one, decision, turns, feedback)


def _candidates(one: Decided, stored: Mapping[str, str], guard: str | None) -> list[Row]:
    result = []
    for place, candidate in enumerate(one.choice.candidates):
        said = one.reply.text if place == one.choice.taken else candidate["text"]
        result.append(
            {
                **candidate,
                "candidate_id": candidate.get("candidate_id") or content_id(one.decision_id, place),
                "text": None if said is None else stored[said],
                "origin": "log",
                "guard": guard,
            }
        )
    return result


def _columns(record: Record, choice: Choice) -> Row:
    explored = real(record, "explored")
    if explored not in (None, 0.0, 1.0):
        raise RowError("explored", "is neither true nor false")
    features = numbers(record, "features") | ({"rest_filled": 1.0} if choice.filled else {})
    return {
        "features": features or None,
        "mode": text(record, "mode") or "arm_first",
        "delivered": text(record, "delivered") or "full",
        "explored": bool(explored),
        "policy_id": identifier(record, "policy_id"),
        "policy_version": identifier(record, "policy_version"),
        "latency_ms": real(record, "latency_ms"),
    }


def _reply(record: Record, choice: Choice) -> str | None:
    said = text(record, "reply")
    found: str | None = said or choice.candidates[choice.taken]["text"]
    return found


def _place(index: int | None, message: str | None) -> int | None:
    if index == 0 and message is not None:
        raise RowError("turn_index", "is 0, but a message came before the reply")
    return index


def _content(record: Record, choice: Choice, *, place: str) -> str:
    said = [record.get("message"), record.get("reply"), choice.arm, record.get("features")]
    shares = [candidate["probability"] for candidate in choice.candidates]
    taken = {} if choice.arm else {"taken": choice.taken}
    return dumped({"said": said, "shares": shares, "place": place, **taken})


def _texts(decided: Sequence[Decided]) -> list[str]:
    said = [one.text for each in decided for one in (each.message, each.reply) if one is not None]
    said += [c["text"] for each in decided for c in each.choice.candidates]
    said += [opinion.text for each in decided for opinion in each.reply.opinions]
    return [text for text in said if text is not None]
