"""Settings of adapter training."""

from pydantic import Field

from rapport.config import Config


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
