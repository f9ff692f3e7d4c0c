"""Prompts: the same text in training and in serving, kept inside a budget of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict

from rapport.arms import Arm
from rapport.errors import ConfigError
from rapport.language.settings import Level

__all__ = ["Level", "Message", "Tokenizer", "build", "encode", "exemplars", "instructions"]

ROLE = "Reply kindly and briefly."
EXEMPLARS = 10
TRAINING_PROMPT_TOKENS = 160
"""Most tokens a training prompt may have: its length is what training time is spent on."""

_ORDER: tuple[Level, ...] = ("base", "role", "few_shot", "context")
_SHORTEST_TAIL = 8


class Message(TypedDict):
    """One entry of a conversation, as the OpenAI API writes it."""

    role: str
    content: str


class Tokenizer(Protocol):
    """What is asked of a tokenizer of the transformers library."""

    @property
    def all_special_tokens(self) -> Sequence[str]:
        """Control tokens, as text."""

    @property
    def eos_token_id(self) -> int:
        """Token that ends a turn."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]:
        """Token ids under `input_ids`."""

    def apply_chat_template(
        self, conversation: Sequence[Message], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:  # noqa: ANN401  (text or ids, by `tokenize`)
        """A conversation as one text."""

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Text of token ids."""


def build(
    messages: Sequence[Message],
    *,
    arm: Arm | None = None,
    card: str | None = None,
    style: str | None = None,
    level: Level = "role",
) -> list[Message]:
    """Messages for the model: our block after the client's system text, the arm after the user's.

    The arm's tag and its one sentence end the last user turn, on a line of their own; that is
    where adapters learn to look for them. Each level holds what the ones before it hold.

    Args:
        messages: Conversation so far; its last user turn is the one to answer.
        arm: Kind of reply that was drawn; none asks for no particular kind.
        card: What is known of the persona, in a sentence or two; used at level `context`.
        style: How the reply should sound, in a sentence; left out at level `base`.
        level: How much of ours goes in.
    """
    system = [m["content"] for m in messages if m["role"] == "system"]
    system += _block(arm, card, _ORDER.index(level))
    system += [style] if style and level != "base" else []
    dialogue = [Message(role=m["role"], content=m["content"]) for m in messages]
    dialogue = [m for m in dialogue if m["role"] != "system"]
    if arm:
        _ask(dialogue, arm)
    head = [Message(role="system", content="\n".join(system))] if system else []
    return head + dialogue


def instructions(
    messages: Sequence[Mapping[str, Any]],
    *,
    arm: Arm,
    about: Sequence[str] = (),
    level: Level = "role",
) -> list[Mapping[str, Any]]:
    """Messages for somebody else's model: all of ours in one block after the client's system text.

    The client's messages are not touched, whatever parts they hold, so that the upstream's cache
    of their beginning stays warm. Other than for our own adapters the arm is said without its tag.

    Args:
        messages: The conversation in the OpenAI API's words.
        arm: Kind of reply that was drawn.
        about: Sentences on style and persona to end the block with.
        level: How much of ours goes in beside the arm's instruction.
    """
    lines = [arm.instruction, *_block(arm, None, _ORDER.index(level)), *about]
    heads = [m.get("role") in ("system", "developer") for m in messages]
    place = heads.index(False) if False in heads else len(heads)
    role = str(messages[place - 1]["role"]) if place else "system"
    block = {"role": role, "content": "\n".join(lines)}
    return [*messages[:place], block, *messages[place:]]


def exemplars(arm: Arm) -> tuple[str, ...]:
    """Up to 10 replies that show an arm: its menu's exemplars, then its approved replies.

    A release holds no user's words, so they are none that anybody was given.
    """
    return (*arm.exemplars, *arm.replies)[:EXEMPLARS]


def encode(tokenizer: Tokenizer, messages: Sequence[Message], *, max_tokens: int) -> list[int]:
    """Token ids of a prompt, up to where the reply begins, at most `max_tokens` of them.

    Too long a prompt loses its oldest turns first, then the beginning of its last turn, never the
    system text or the arm at the end. Control tokens of the chat template are removed from what
    people wrote, so nobody can forge a turn.

    No message at all is the prompt of an empty system text.

    Raises:
        ConfigError: `max_tokens` cannot hold even the system text and a few words.
    """
    clean = [Message(role=m["role"], content=_plain(tokenizer, m["content"])) for m in messages]
    head = [m for m in clean if m["role"] == "system"]
    turns = [m for m in clean if m["role"] != "system"]
    ids = _render(tokenizer, head + turns)
    while len(ids) > max_tokens and len(turns) > 1:
        del turns[0]
        ids = _render(tokenizer, head + turns)
    if len(ids) > max_tokens:
        ids = _render(tokenizer, head + _tail(tokenizer, turns, len(ids) - max_tokens))
    if len(ids) > max_tokens:
        raise ConfigError("prompt tokens", max_tokens, f"this prompt needs at least {len(ids)}")
    return ids


def _block(arm: Arm | None, card: str | None, rank: int) -> list[str]:
    lines = [ROLE] if rank >= _ORDER.index("role") else []
    if arm and rank >= _ORDER.index("few_shot"):
        lines += [f"Example: {exemplar}" for exemplar in exemplars(arm)]
    if card and rank >= _ORDER.index("context"):
        lines.append(card)
    return lines


def _ask(dialogue: list[Message], arm: Arm) -> None:
    last = next((m for m in reversed(dialogue) if m["role"] == "user"), None)
    if last is None:
        dialogue.append(Message(role="user", content=arm.prompt))
    else:
        last["content"] = f"{last['content']}\n{arm.prompt}"


def _plain(tokenizer: Tokenizer, text: str) -> str:
    before = None
    while before != text:  # removing one token can bring another together
        before = text
        for token in tokenizer.all_special_tokens:
            text = text.replace(token, "")
    return text


def _render(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    messages = messages or [Message(role="system", content="")]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _tail(tokenizer: Tokenizer, turns: Sequence[Message], excess: int) -> list[Message]:
    if not turns:
        return []
    words = tokenizer(turns[-1]["content"], add_special_tokens=False)["input_ids"]
    # One token more than the excess: a cut inside a word may be split anew when it is rendered.
    keep = max(len(words) - excess - 1, _SHORTEST_TAIL)
    text = tokenizer.decode(words[-keep:]).lstrip("\ufffd")
    return [Message(role=turns[-1]["role"], content=text)]
