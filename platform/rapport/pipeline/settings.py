"""Settings of the pipeline's jobs: what can be set, and nothing that takes long to import."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from rapport.bounds import CHUNK_ROWS, FIT_USERS, HELD_TEXTS, HELD_TURNS
from rapport.config import Config, Device, JobConfig
from rapport.evaluation.verdict import GateSettings
from rapport.language.settings import Curriculum, PromptSettings, TrainingSettings
from rapport.users.encoder import HALF_LIFE_DAYS

ACTORS = 2
_RATE = 2e-3
"""Highest learning rate of adapters: at 3e-3 they gain more on held-out replies, and harm to their
answers is not excluded."""


class IngestConfig(JobConfig):
    """What `ingest_logs` reads."""

    format: str
    """A name in `rapport.ingest.FORMATS`."""
    paths: tuple[str, ...]
    """Files, folders, globs or object-store URIs."""
    purposes: tuple[str, ...] | None = None
    """What the users agreed to; none takes the tenant's default."""
    mapping: Path | None = None
    """YAML file `our field: their column`; none for a log that has our names."""
    chunk_rows: int = Field(default=CHUNK_ROWS, ge=1)
    """Rows held at once; a log of any length needs the memory of one chunk."""


class EmbedConfig(JobConfig):
    """Settings of `embed_users`."""

    threshold_turns: int = 5_000
    """Turns without a vector from which Ray Data does the work."""
    actors: int = ACTORS
    """Processes of the Ray Data runner, one processor each."""
    half_life_days: float = HALF_LIFE_DAYS
    """Days after which an event counts half in a user's vector."""
    refit: bool = False
    """Whether to fit the user encoder anew, though the last one would be kept."""
    held_texts: int = Field(default=HELD_TEXTS, ge=1)
    """Texts read, sorted by length and embedded at once; bounds memory."""
    held_turns: int = Field(default=HELD_TURNS, ge=1)
    """Turns of users worked on at once; bounds memory."""


class LabelConfig(JobConfig):
    """Settings of `label_arms`."""

    confidence: float = Field(default=0.4, gt=0, lt=1)
    """Least probability of an inferred arm. At .4 half of the simulator's replies are labelled, 99
    of 100 right; higher labels fewer, and more of them right."""


class ScorersConfig(JobConfig):
    """Settings of `train_scorers`."""

    data: tuple[Path, ...] = ()
    """Labelled sets for this home's scorers: GoEmotions (emotion and sentiment; without it the
    shipped scorer reads), EPITOME (empathy), ESConv (support strategies)."""
    replies: int = 3_000
    """Logged replies the strategy scorer learns from."""


class SegmentConfig(JobConfig):
    """Settings of `segment_personas`."""

    k: int | None = None
    """Number of personas; none chooses it from the data."""
    with_events: bool = True
    """Whether behaviour counts beside words."""
    threshold_turns: int = 1_000_000
    """Turn vectors from which Ray Data does the work; below, its start takes longer than it."""
    actors: int = ACTORS
    """Processors of the Ray Data runner."""
    fit_users: int = Field(default=FIT_USERS, ge=20)
    """Users the personas are learned from, at 1.5 KB each; all are assigned."""
    held_turns: int = Field(default=HELD_TURNS, ge=1)
    """Turns of users worked on at once; bounds memory."""


class AdaptersConfig(JobConfig):
    """Settings of `train_adapters`."""

    examples: int = Field(default=400, ge=10)
    """Most examples a persona learns from."""
    upkeep: float = Field(default=0.25, ge=0, lt=1)
    """Share of what an adapter learns from that keeps up what its base model knows: plain questions
    with their answers, and what it is. Without it an adapter answers more questions wrongly, and
    its card refuses it."""
    shared_tokens: int = Field(default=20_000, gt=0)
    persona_tokens: int = Field(default=5_000, gt=0)
    batch_tokens: int = Field(default=200, gt=0)
    """Padded tokens a step. A GPU takes twenty times as many in the same time; raise it together
    with the tokens, for fewer steps learn less."""
    replies: int = Field(default=120, ge=15)
    """Replies written to see which arms show in the text."""
    pairs: int = Field(default=60, ge=0)
    """Held-out replies the discriminator of mode `rerank` learns from."""
    workers: int = Field(default=1, ge=1)
    """Processes that share every batch."""
    cpus: int | None = Field(default=None, ge=1)
    """Processors of each; none takes a whole node's."""
    device: Device = "auto"
    """`auto` takes a GPU for each where there are as many, `cuda` waits for an autoscaler's."""
    checkpoint_s: float = Field(default=60.0, gt=0)
    """Most seconds of training that a crash costs."""

    @property
    def curriculum(self) -> Curriculum:
        """How the adapters are trained."""
        common = {"learning_rate": _RATE, "batch_tokens": self.batch_tokens, "seed": self.seed}
        return Curriculum(
            shared=TrainingSettings(tokens=self.shared_tokens, **common),
            persona=TrainingSettings(tokens=self.persona_tokens, **common),
            budget_s=self.seconds,
            checkpoint_s=self.checkpoint_s,
        )


class TrainPolicyConfig(JobConfig):
    """Settings of `train_policy`."""

    prompt: PromptSettings = PromptSettings()
    """What the release says of prompts, and of the upstream whose replies it learned from."""

    trials: int = Field(default=6, ge=1)
    """Settings to try; learners take turns, their defaults first."""
    search: bool = True
    """False trains again with the settings of the policy trained last."""
    recipe: Mapping[str, Any] | None = None
    """Settings and behaviour to train with, in place of a search; a release records its own."""
    gamma: float = Field(default=0.0, ge=0, lt=1)
    """Worth of the next reward of a conversation when a decision is learned from: above 0, what a
    reply makes possible counts too. Inert where conversations have one decision. The gate judges
    each decision by its own reward whatever this is."""


class CardSettings(Config):
    """What is asked for the empathy card, which takes time."""

    questions: int = Field(default=200, ge=0)
    """Questions with checkable answers, each in three frames: about 40 s an adapter for all 200
    with the bundled model on two cores. Fewer than all are a first look, which refuses only what
    is beyond doubt; 0 asks none."""
    boundaries: bool = False
    """Whether tempting situations are answered too: about a minute an adapter."""
    seconds: float = Field(default=600.0, gt=0)
    """After these no further adapter is asked; those left say so on the card."""


class EvaluateConfig(JobConfig):
    """What `evaluate_release` judges, and how strictly."""

    candidate: str | None = None
    """Id of a candidate; none takes the newest."""
    gate: GateSettings = GateSettings()
    card: CardSettings = CardSettings()


class PromoteConfig(JobConfig):
    """What `promote_release` promotes."""

    candidate: str | None = None
    """Id of a candidate; none takes the newest."""


class NudgeConfig(JobConfig):
    """Settings of `propose_nudges`."""

    again_h: float = Field(default=24.0, gt=0, le=48)
    """Hours in which nothing is decided again about the same task."""
    now: datetime | None = None
    """The moment to decide at; none takes the clock's."""


class CompactConfig(JobConfig):
    """Settings of `compact_lake`."""

    least_files: int = Field(default=8, ge=2)
    """Data files of a table's newest version from which they are merged. A merge copies the table
    while releases hold the old files, so a low number costs room."""
    grace_hours: int = Field(default=0, ge=0)
    """Hours that the files of a version just left behind stay, for whoever still reads it; in an
    object store at least 1."""
