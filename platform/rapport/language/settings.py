"""Settings of adapter training, of prompts, and of a model server that is attached."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from rapport.config import Config
from rapport.errors import BrokenReleaseError


class TrainingSettings(Config):
    """How one adapter is trained."""

    tokens: int = Field(default=5_000, gt=0)
    """Prompt and reply tokens to train on, padding apart."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest rate, after a warm-up over 5 %; it falls along a cosine to a tenth."""
    batch_tokens: int = Field(default=200, gt=0)
    """Padded tokens a step. On the default model 200 learn more from a budget than 400."""
    rank: int = Field(default=8, gt=0)
    alpha: int = Field(default=16, gt=0)
    """Factors are scaled by alpha / rank."""
    checks: int = Field(default=2, gt=0)
    """Times the held-out users are looked at; the best of them is kept."""
    worse_nats: float = Field(default=0.3, gt=0)
    """Nats a token above the best check that end a training; less comes back as the rate falls."""
    prompt_tokens: int = Field(default=160, gt=0)
    """Longest prompt."""
    seed: int = 0


class Curriculum(Config):
    """How all adapters of a release are trained."""

    shared: TrainingSettings = TrainingSettings(tokens=20_000, learning_rate=3e-3)
    persona: TrainingSettings = TrainingSettings(tokens=5_000, learning_rate=1e-3)
    held_out: int = Field(default=24, ge=2)
    """Most held-out examples each persona is judged on."""
    budget_s: float | None = Field(default=None, gt=0)
    """Seconds for all; what is left is dealt out by tokens before each adapter."""
    checkpoint_s: float = Field(default=60.0, gt=0)
    """Most seconds of steps that a crash costs; what comes out does not depend on it."""


Level = Literal["base", "role", "few_shot", "context"]
"""How much of ours a prompt holds: nothing, our role, the arm's exemplars too, the card too."""

PROMPT_FILE = "prompt.json"


class PromptSettings(Config):
    """What a release says of prompts: `prompt.json`. Releases of before have none."""

    level: Level = "role"
    upstream_model: str | None = None
    """Model the release was made for, where its replies come from an upstream. Attached to any
    other, arms are not drawn unless the operator says so."""

    @classmethod
    def load(cls, release: Path) -> "PromptSettings":
        """Read a release's settings.

        Raises:
            BrokenReleaseError: The file is there and cannot be read.
        """
        path = release / PROMPT_FILE
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BrokenReleaseError(release.name, PROMPT_FILE, type(error).__name__) from error


class UpstreamSettings(Config):
    """An OpenAI-compatible server that writes the replies."""

    url: str
    """Up to and with `/v1`, for example `https://api.openai.com/v1` or `http://127.0.0.1:11434/v1`.
    """
    model: str = Field(min_length=1)
    """Name of the model there; also the name under which clients ask for it here."""
    key_env: str | None = None
    """Environment variable that holds the key, in every process that serves; none sends none."""
    connect_s: float = Field(default=5.0, gt=0)
    """Seconds to get a connection, and for each part of a request to go out."""
    read_s: float = Field(default=30.0, gt=0)
    """Seconds without a byte of a stream after which the upstream counts as dead. A whole reply
    comes at once when it is written; for it the exchange's deadline alone holds."""
    retries: int = Field(default=2, ge=0, le=5)
    """Times a request is sent again that was not answered at all, or with 408, 429 or 5xx."""
    connections: int = Field(default=64, ge=1)
    """Requests of one gateway that the upstream answers at once; a request that finds none free
    for `connect_s` is refused."""
    price_in: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens; with `price_out` each decision keeps its cost."""
    price_out: float | None = Field(default=None, ge=0)
    """Price of a million tokens of replies, in the same currency."""

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as http://HOST[:PORT]/v1 or https://HOST/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("it must not hold a key; name its environment variable in key_env")
        return url.rstrip("/").removesuffix("/chat/completions")

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """Price of so many tokens; none where a price is missing."""
        if self.price_in is None or self.price_out is None:
            return None
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6
