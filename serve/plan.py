"""The plan of one reply: who answers, under which arm, drawn from what; then what was said."""

import secrets
from dataclasses import dataclass, field, replace
from typing import Literal

from rapport.arms import Arm, load_menu
from rapport.language.engine import Delta
from rapport.language.library import approved_reply
from rapport.language.prompts import Message, build
from rapport.language.sampling import Sampling
from rapport.policy.features import Situation
from rapport.schema import new_id

from .answer import Usage
from .bundle import Bundle
from .minds import Mind
from .reading import Reading
from .records import Episode, Party
from .reranker import Draw, situation
from .router import Route
from .wire import ChatRequest, Mode

Origin = Literal["adapter", "base", "library", "fallback"]


@dataclass
class Speech:
    """What was said; changes while a reply is written."""

    delivered: str
    usage: Usage
    text: str = ""
    origin: Origin | None = None
    degraded: str | None = None
    guard: str | None = None

    def hear(self, delta: Delta) -> None:
        """Take in what the engine wrote."""
        self.text += delta.text
        self.usage.tokens_in, self.usage.tokens_out = delta.tokens_in, delta.tokens_out
        if delta.finish:
            self.usage.finish = "length" if delta.finish == "length" else "stop"

    def fall_back(self, text: str, *, reason: str) -> None:
        """Say an approved reply because the engine did not answer."""
        self.text, self.origin, self.delivered = text, "fallback", "fallback"
        self.degraded = reason

    def cut_off(self, sent: str, *, reason: str) -> None:
        """Note that the reply ended before it was whole, with what was sent of it."""
        self.text, self.delivered, self.degraded = sent, "fallback", reason

    def replace(self, text: str, *, rule: str) -> None:
        """Say an approved reply in place of one that must not leave."""
        self.text, self.origin, self.delivered = text, "library", "guard_replaced"
        self.guard = rule


@dataclass(frozen=True)
class Plan:
    """Everything decided before the reply is written."""

    asked: ChatRequest
    bundle: Bundle
    party: Party
    episode: Episode
    reading: Reading
    said: str
    base_model: str
    started: float
    mode: Mode = "observe"
    delivered: str = "observed"
    mind: Mind | None = None
    route: Route | None = None
    draw: Draw | None = None
    adapter: tuple[str | None, str | None] = (None, None)
    ready: str | None = None
    """A text that needs no writing: from the library, chosen by `rerank`, or for a crisis."""
    origin: Origin = "base"
    texts: tuple[str, ...] = ()
    """Candidates' texts, in `draw`'s order, where they were written before the draw."""
    crisis: bool = False
    decision_id: str = field(default_factory=new_id)

    @property
    def arm(self) -> Arm | None:
        """Arm the reply is given under; none where the reply passes unchanged."""
        if self.draw is None or self.mode in ("observe", "control"):
            return None
        return self.draw.arm

    def case(self) -> Situation:
        """Build what the policy sees."""
        assert self.mind is not None
        where = (self.party.agent_id, self.episode.turn_index + 1)
        return situation(self.bundle, self.mind, self.reading, route=self.route, where=where)

    def in_crisis(self, reply: str) -> "Plan":
        """Answer with the crisis reply: no adapter, no reranker, no policy."""
        return replace(
            self,
            mode="control",
            delivered="guard_replaced",
            ready=reply,
            origin="library",
            crisis=True,
        )

    def prompt(self, arm: Arm | None = None) -> list[Message]:
        """Messages for the model; unchanged ones where no arm was drawn."""
        messages = [Message(role=m.role, content=m.text) for m in self.asked.messages]
        arm = arm or self.arm
        return build(messages, arm=arm, level="role" if arm else "base")

    def sampling(self) -> Sampling:
        """How the reply's tokens are drawn."""
        asked = self.asked
        seed = asked.seed if asked.seed is not None else secrets.randbits(31)
        return Sampling(
            temperature=0.7 if asked.temperature is None else asked.temperature,
            top_p=asked.top_p or 0.9,
            max_tokens=asked.limit_tokens,
            stop=asked.stops,
            seed=seed,
        )

    def library_reply(self) -> str:
        """Choose an approved reply of the arm drawn, else one that asks what was meant."""
        arm = self.arm or load_menu(self.party.agent_id)["clarify"]
        used = [m.text for m in self.asked.messages if m.role == "assistant"]
        return approved_reply(arm, used=used, seed=secrets.randbits(31))
