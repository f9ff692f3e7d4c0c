"""Simulated users talk to a served graph over HTTP, with the client anybody would use."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import openai

from rapport.simulation.live import Reaction, SimulatedUser

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Exchange:
    """One message, what answered it, and what the answer was called."""

    user: str
    message: str
    reply: str
    decision: dict[str, Any]
    """The response's `rapport` block."""


@dataclass
class Outcome:
    """What came of letting users talk for a while."""

    exchanges: list[Exchange] = field(default_factory=list)
    feedback: int = 0
    failures: list[str] = field(default_factory=list)
    """Kinds of the errors that ended a conversation, texts left out."""
    seconds: float = 0.0
    ranked: list[dict[str, Any]] = field(default_factory=list)
    """One ranked list: candidates with nlp, rec and their product."""


class Conversations:
    """Let users talk side by side until enough decisions are served or time is up."""

    def __init__(self, url: str, key: str, *, decisions: int, deadline_s: float) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=60, max_retries=2)
        self._wanted, self._until = decisions, time.monotonic() + deadline_s
        self._lock = threading.Lock()
        self._each = decisions
        self.outcome = Outcome()

    def hold(self, users: Sequence[SimulatedUser], *, at_once: int = 8) -> Outcome:
        """Run every user's conversations, `at_once` at a time, and return what was seen."""
        started = time.monotonic()
        self._each = -(-self._wanted // len(users))
        with ThreadPoolExecutor(at_once) as pool:
            try:
                list(pool.map(self._converse, users))
            finally:  # where it was stopped, nobody says more than what he is saying
                self._until = 0.0
                pool.shutdown(wait=False, cancel_futures=True)
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def ranked_list(self, user: SimulatedUser) -> list[dict[str, Any]]:
        """Ask for one reply in mode `rerank` and return its candidates, best product first.

        A dry run, as `side_by_side`: it leaves no trace.
        """
        said: Messages = [{"role": "user", "content": user.first_message()}]
        how = {"rapport::mode": "rerank", "rapport::explain": True}
        extra = {**how, "rapport::dryrun": True}
        _, block = self._ask(user, said, extra)
        rows = [
            {
                "arm": found["arm"],
                "nlp": found["nlp_score"],
                "rec": found["rec_score"],
                "nlp x rec": found["nlp_score"] * found["rec_score"],
                "probability": found["probability"],
                "reply": found["text"],
            }
            for found in block["candidates"]
        ]
        return sorted(rows, key=lambda row: -row["nlp x rec"])

    def side_by_side(self, user: SimulatedUser) -> dict[str, Any]:
        """Ask the base model, as a control user, and personalised; dry runs, so no trace is left.

        Returns:
            `message`, `replies` by who answered, and `notes` on them.
        """
        message = user.first_message()
        said: Messages = [{"role": "user", "content": message}]
        ways = {
            "base model": {"model": self._base_model()},
            "control": {"rapport::mode": "control"},
            "personalised": {"rapport::mode": "arm_first"},
        }
        replies, notes = {}, {}
        for name, extra in ways.items():
            replies[name], block = self._ask(user, said, {**extra, "rapport::dryrun": True})
            if name == "personalised":
                notes[name] = f"{block['persona_id']}, {block['arm']}, {block['propensity']:.2f}"
        return {"message": message, "replies": replies, "notes": notes}

    def _base_model(self) -> str:
        """Name under which the language model itself is served."""
        names = [model.id for model in self._client.models.list()]
        return next(name for name in names if not name.startswith("rapport") and ":" not in name)

    def _converse(self, user: SimulatedUser) -> None:
        try:
            left = self._each
            while left > 0 and not self._enough():
                left -= self._hold_one(user, left)
        except openai.OpenAIError as error:
            with self._lock:
                self.outcome.failures.append(type(error).__name__)

    def _hold_one(self, user: SimulatedUser, most: int) -> int:
        """Hold one conversation of at most so many exchanges; returns how many there were."""
        messages: Messages = []
        said: str | None = user.first_message()
        while said is not None and len(messages) < 2 * most and not self._enough():
            messages.append({"role": "user", "content": said})
            reply, decision = self._ask(user, messages, {})
            messages.append({"role": "assistant", "content": reply})
            reaction = user.react(reply)
            sent = self._give(decision["decision_id"], reaction)
            with self._lock:
                self.outcome.exchanges.append(Exchange(user.user_id, said, reply, decision))
                self.outcome.feedback += sent
            said = reaction.message
        return len(messages) // 2

    def _ask(
        self, user: SimulatedUser, messages: Messages, extra: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        who = {"rapport::user": {"id": user.user_id}, "rapport::agent_id": user.agent_id}
        answer = self._client.chat.completions.create(
            model="rapport",
            messages=cast("Any", messages),  # the SDK wants its own TypedDicts
            max_tokens=40,
            extra_body={**who, **extra},
        )
        block: dict[str, Any] = (answer.model_extra or {})["rapport"]
        return answer.choices[0].message.content or "", block

    def _give(self, decision_id: str, reaction: Reaction) -> int:
        given = {
            "rating": reaction.rating,
            "dwell": reaction.dwell_s,
            "task_success": reaction.task_success,
        }
        sent = 0
        for metric, value in given.items():
            if value is not None:
                body = {"decision_id": decision_id, "metric_name": metric, "value": value}
                self._client.post("/feedback", body=body, cast_to=object)
                sent += 1
        return sent

    def _enough(self) -> bool:
        with self._lock:
            done = len(self.outcome.exchanges)
        return done >= self._wanted or time.monotonic() > self._until
