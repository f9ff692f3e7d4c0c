"""The wire format: OpenAI's chat completions, and Rapport's extras under the `rapport::` prefix."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    model_validator,
)

from .errors import named
from .style import Style

Mode = Literal["observe", "arm_first", "rerank", "control"]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id as a client may give one: no control characters."""
Word = Annotated[str, Field(min_length=1, max_length=64)]
Value = Annotated[str, Field(max_length=512)]
Turn = Literal["text", "tool_call", "structured"]

_TOOL_ROLES = frozenset({"tool", "function"})


class Message(BaseModel):
    """One chat message; content may be OpenAI's list of parts, of which text counts."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The message's plain text."""
        if isinstance(self.content, list):
            return "\n".join(str(part["text"]) for part in self.content if part.get("text"))
        return self.content or ""


class UserFields(BaseModel):
    """What a request says of its user (`rapport::user`)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str | None = Field(default=None, min_length=1, max_length=256)
    age_band: str | None = None
    jurisdiction: str | None = None
    purposes: list[str] | None = None
    attributes: dict[str, str] = {}


class StreamOptions(BaseModel):
    """OpenAI's stream options."""

    include_usage: bool = False


ClientReply = Annotated[str, StringConstraints(min_length=1, max_length=8000)]
MAX_CANDIDATES = 16


class ChatRequest(BaseModel):
    """Body of `POST /v1/chat/completions`. Unknown OpenAI fields are let through unread."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    model: str = "rapport"
    messages: list[Message] = Field(min_length=1, max_length=512)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    n: int = Field(default=1, ge=1, le=128)
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    episode_id: str | None = Field(default=None, alias="rapport::episode_id", max_length=64)
    tags: dict[str, str] = Field(default={}, alias="rapport::tags")
    dryrun: bool = Field(default=False, alias="rapport::dryrun")
    mode: Mode | None = Field(default=None, alias="rapport::mode")
    who: UserFields = Field(default=UserFields(), alias="rapport::user")
    agent_id: str = Field(default="emotional_support", alias="rapport::agent_id")
    journey_id: str | None = Field(default=None, alias="rapport::journey_id")
    task_id: str | None = Field(default=None, alias="rapport::task_id")
    explain: bool = Field(default=False, alias="rapport::explain")
    style: Style = Field(default=Style(), alias="rapport::style")
    candidates: list[ClientReply] = Field(
        default=[], alias="rapport::candidates", max_length=MAX_CANDIDATES
    )
    """Replies of the client's own, ranked beside ours in mode `rerank`."""
    _raw: bytes = PrivateAttr(default=b"")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_extras(cls, values: Any) -> Any:  # noqa: ANN401
        known = {field.alias for field in cls.model_fields.values() if field.alias}
        unknown = [key for key in values if key.startswith("rapport::") and key not in known]
        if unknown:
            told = f"an extra {named(unknown[0])} is not known"
            raise ValueError(f"{told}; known: {', '.join(sorted(known))}")
        return values

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, values: Any) -> Any:  # noqa: ANN401
        """OpenAI's own clients may send null where a field has a default."""
        if not isinstance(values, dict):
            raise ValueError("it must be a JSON object")  # noqa: TRY004  pydantic's way to refuse
        nullable = ("n", "stream", "stream_options")
        return {key: v for key, v in values.items() if v is not None or key not in nullable}

    @model_validator(mode="after")
    def _ranks_candidates(self) -> "ChatRequest":
        if self.candidates and self.mode not in (None, "rerank"):
            raise ValueError("rapport::candidates are ranked in rapport::mode rerank only")
        return self

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:  # noqa: ANN401
        """Read a body and keep its bytes, so that an upstream can be sent the very same."""
        asked = super().model_validate_json(json_data, **options)
        asked._raw = json_data.encode() if isinstance(json_data, str) else bytes(json_data)
        return asked

    @property
    def raw(self) -> bytes:
        """The body as it came; written anew where the request was built otherwise."""
        return self._raw or self.model_dump_json(by_alias=True, exclude_unset=True).encode()

    @property
    def turn(self) -> Turn:
        """What the reply must be: no arm is drawn for a call of a tool, or for JSON."""
        more = self.model_extra or {}
        kind = _kind(more.get("response_format"))
        if self.messages[-1].role in _TOOL_ROLES or _must_call(more):
            return "tool_call"
        return "structured" if kind in ("json_object", "json_schema") else "text"

    @property
    def is_routed(self) -> bool:
        """Whether Rapport chooses the persona, or the request pins one; else it names a model."""
        return self.model.partition(":")[0] == "rapport"

    @property
    def said(self) -> str:
        """Text of the last user message; empty where there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def speaks(self) -> bool:
        """Whether the user says something new: not where a tool has answered meanwhile."""
        roles = [message.role for message in reversed(self.messages)]
        since = roles[: roles.index("user")] if "user" in roles else roles
        return bool(self.said.strip()) and not _TOOL_ROLES.intersection(since)

    @property
    def limit_tokens(self) -> int:
        """Longest reply asked for, in tokens."""
        return self.max_completion_tokens or self.max_tokens or 60

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


def _kind(field: object) -> object:
    return field.get("type") if isinstance(field, dict) else field


def _must_call(fields: Mapping[str, Any]) -> bool:
    """Whether a tool must be called: one that is named, or any."""
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and _kind(choice) == "allowed_tools":
        choice = (choice.get("allowed_tools") or {}).get("mode")
    named = isinstance(choice, dict) or isinstance(fields.get("function_call"), dict)
    return named or choice == "required"


class FeedbackRequest(BaseModel):
    """Body of `POST /v1/feedback`: what came back for one decision, or for an episode's last one.

    `tags` are taken and not kept.
    """

    model_config = ConfigDict(extra="forbid")

    decision_id: Id | None = None
    episode_id: Id | None = None
    metric_name: str = Field(min_length=1, max_length=64)
    value: bool | float | Annotated[str, Field(max_length=8000)]
    tags: dict[str, str] = Field(default={}, max_length=64)
    feedback_id: Id | None = None

    @model_validator(mode="after")
    def _one_target(self) -> "FeedbackRequest":
        if (self.decision_id is None) == (self.episode_id is None):
            raise ValueError("give exactly one of decision_id and episode_id")
        return self


class ProfileRequest(BaseModel):
    """Body of `PUT /v1/users/{id}`: all that is known of a user; what is left out is unknown.

    It holds for later requests that do not say it themselves.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    age_band: str | None = Field(default=None, min_length=1, max_length=32)
    jurisdiction: str | None = Field(default=None, min_length=1, max_length=64)
    purposes: list[str] | None = Field(default=None, max_length=16)
    """None: the tenant's default, as it is at each request. Empty: the user refused all."""
    attributes: dict[Word, Value] = Field(default={}, max_length=64)
    preferences: dict[Word, Value] = Field(default={}, max_length=64)
