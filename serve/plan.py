"""The plan of one reply: who answers, under which arm, drawn from what."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rapport.arms import Arm, load_menu
from rapport.governance.disclosure import asks_what_it_is, disclosure
from rapport.language.engine import GenerationRequest, Wire
from rapport.language.library import approved_reply
from rapport.language.prompts import Level, Message, build
from rapport.language.sampling import Sampling
from rapport.policy.features import Situation
from rapport.schema import new_id

from .bundle import MARGIN_FLOOR, Bundle
from .deferral import Event
from .minds import Mind
from .passing import alone, passed_on
from .reading import Reading
from .records import DecisionMode, Episode, Origin, Party
from .reranker import Draw, situation
from .router import Route
from .style import sentence
from .wire import ChatRequest


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
    shadow: Bundle | None = None
    """Release whose choice is logged beside the one that is served; it reaches nobody."""
    upstream: str | None = None
    """Model of the upstream that writes; none where the built-in engine does."""
    mode: DecisionMode = "observe"
    delivered: str = "observed"
    mind: Mind | None = None
    route: Route | None = None
    draw: Draw | None = None
    adapter: tuple[str | None, str | None] = (None, None)
    ready: str | None = None
    """A text that needs no writing: from the library, chosen by `rerank`, or for a crisis."""
    origin: Origin = "base"
    style: Mapping[str, str] = field(default_factory=dict)
    """Tone, length and language of the reply, as far as anything is known."""
    degraded: str | None = None
    """What of the plan could not be done as it was asked for."""
    crisis: bool = False
    deferred: bool = False
    """The decision counts only once the client says that it did as it was told."""
    event: Event | None = None
    """Under which terms the client waits for a reward; none where it promised none."""
    noted: Mapping[str, float] = field(default_factory=dict)
    """Features of the situation that the client told; only logged."""
    unlogged: bool = False
    """The store does not answer, and the tenant would rather have a reply than a log."""
    default: str | None = None
    """Action that mode `observe` lets pass, whatever would have been drawn."""
    decision_id: str = field(default_factory=new_id)

    @property
    def arm(self) -> Arm | None:
        """Arm the reply is given under; none where the reply passes unchanged."""
        if self.draw is None or self.mode in ("observe", "control"):
            return None
        return self.draw.arm

    @property
    def leaves_nothing(self) -> bool:
        """Whether nothing of this exchange is kept."""
        return self.asked.dryrun or self.unlogged

    def case(self) -> Situation:
        """Build what the policy sees: no affect of a user who did not agree to its reading."""
        assert self.mind is not None
        where = (self.party.agent_id, self.episode.turn_index + 1)
        return situation(self.bundle, self.mind, self.seen, route=self.route, where=where)

    @property
    def affect_read(self) -> bool:
        """Whether affect was read of the message: the user agreed, and its language is one."""
        return self.party.allows("infer_affect") and self.reading.readable

    @property
    def seen(self) -> Reading:
        """The reading as far as the user agreed to it; distress and crisis are always heard."""
        return self.reading if self.party.allows("infer_affect") else self.reading.neutral()

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
        level: Level = self.bundle.prompt.level if arm else "base"
        style = sentence(self.style)
        return build(messages, arm=arm, card=self.card, style=style, level=level)

    @property
    def card(self) -> str | None:
        """What is told of the user's persona, where the release's prompts do and it is known."""
        route = self.route
        sure = route is not None and route.margin >= MARGIN_FLOOR
        return self.bundle.cards.get(route.persona_id) if route and sure else None

    @property
    def is_new_upstream(self) -> bool:
        """Whether an upstream writes that the serving release was not made for."""
        return self.upstream is not None and self.bundle.prompt.upstream_model != self.upstream

    def sampling(self) -> Sampling:
        """How the reply's tokens are drawn."""
        asked = self.asked
        seed = asked.seed if asked.seed is not None else secrets.randbits(31)
        return Sampling(
            temperature=0.7 if asked.temperature is None else asked.temperature,
            top_p=asked.top_p or 0.9,
            max_tokens=asked.limit_tokens,
            stop=tuple(filter(None, asked.stops)),
            seed=seed,
        )

    def requests(self, *, first: int = 0) -> list[GenerationRequest]:
        """What the engine is asked for, a request for each of the `n` replies from `first` on.

        An upstream writes all `n` at one request.
        """
        if self.upstream is not None and first == 0:
            return [self.request()]
        return [self.request(index=index) for index in range(first, self.asked.n)]

    def request(self, arm: Arm | None = None, *, index: int = 0) -> GenerationRequest:
        """Ask the engine for one reply: under an arm, or as planned."""
        sampling = self.sampling()
        name = f"{self.decision_id}/{arm.name if arm else index}"
        return GenerationRequest(
            request_id=name,
            messages=self.prompt(arm),
            adapter=self.adapter[0],
            sampling=replace(sampling, seed=sampling.seed + index),
            wire=self._wire(arm, index) if self.upstream is not None else None,
        )

    def _wire(self, arm: Arm | None, index: int) -> Wire:
        """The request in the OpenAI API's words; of a candidate, it asks for that reply alone."""
        told = [text for text in (sentence(self.style), self.card) if text]
        wire = passed_on(
            self.asked,
            self.upstream or "",
            arm=arm or self.arm,
            about=told,
            level=self.bundle.prompt.level,
        )
        if arm is None and index == 0:
            return wire
        return alone(wire, streamed=arm is None and self.asked.stream)

    def library_reply(self, arm: Arm | None = None) -> str:
        """Choose an approved reply of an arm, else of the one drawn, else one that asks."""
        arm = arm or self.arm or load_menu(self.party.agent_id)["clarify"]
        used = [m.text for m in self.asked.messages if m.role == "assistant"]
        return approved_reply(arm, used=used, seed=secrets.randbits(31))

    def stand_in(self) -> str:
        """Choose what is said in place of a reply that must not leave, or that never came.

        Who asked whether a person answers is told that none does, whatever was drawn.
        """
        return disclosure() if asks_what_it_is(self.said) else self.library_reply()
