"""Settings of one simulated log: everything that, with the seed, determines each of its bytes."""

from datetime import UTC, datetime

from pydantic import Field, model_validator

from rapport.arms import agents
from rapport.config import Config
from rapport.errors import UnknownNameError
from rapport.schema import content_id

AGENT_SHARES = {"emotional_support": 0.7, "customer_support": 0.3}
"""Share of journeys that go to each agent, renormalised over the agents simulated."""
MAX_PERSONAS = 6
PART_USERS = 5_000
"""Users simulated at once; a larger log is made of parts, so that it needs the memory of one."""
SIMULATOR_VERSION = 1
"""Raised when the same settings give other rows; part of every id."""


class SimulationConfig(Config):
    """What a simulated log holds."""

    users: int = Field(default=1500, ge=1)
    turns: int = Field(default=20, ge=1)
    """User messages of each user; every one gets a reply, hence a decision."""
    days: int = Field(default=60, ge=1)
    """Length of the log; sessions are spread over it."""
    seed: int = Field(default=0, ge=0)
    personas: int = Field(default=4, ge=2, le=MAX_PERSONAS)
    agents: tuple[str, ...] = tuple(AGENT_SHARES)
    control_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of users who always get the plain, unpersonalised reply."""
    leaning: float = Field(default=0.135, ge=0, le=0.8)
    """How far a user's language leans to the persona's manner; higher is easier to recognise."""
    taste_spread: float = Field(default=0.30, ge=0, le=1)
    """Standard deviation of a persona's liking over the kinds of reply."""
    floor: float = Field(default=0.2, gt=0, le=1)
    """Epsilon of the logging policy: each of k arms keeps at least `floor / k`."""
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    """Nothing in the log is earlier."""

    part: tuple[int, int] | None = None
    """Which part of a population too large to hold, and the users of all its parts."""

    @model_validator(mode="after")
    def _possible(self) -> "SimulationConfig":
        unknown = sorted(set(self.agents) - set(AGENT_SHARES) | set(self.agents) - set(agents()))
        if unknown:
            raise UnknownNameError("simulated agent", unknown[0], sorted(AGENT_SHARES))
        if not self.agents or self.days * 72 < self.turns:
            raise ValueError("a log needs an agent, and at least one day for 72 turns")
        return self

    @property
    def run_id(self) -> str:
        """Names this log: the same settings always give the same ids, others give others."""
        left_out = {"part"} if self.part is None else set()
        return content_id("simulation", SIMULATOR_VERSION, self.model_dump_json(exclude=left_out))

    @property
    def parts(self) -> tuple["SimulationConfig", ...]:
        """Settings of the parts of a large log: one world, users of their own; else itself."""
        if self.users <= PART_USERS:
            return (self,)
        return tuple(
            self.model_copy(
                update={
                    "users": min(PART_USERS, self.users - number * PART_USERS),
                    "part": (number, self.users),
                }
            )
            for number in range(-(-self.users // PART_USERS))
        )

    def seeds(self, use: int) -> list[int]:
        """Seed of one use of chance, apart from other uses, numbers of users and parts."""
        return [self.seed, use, self.users, *(self.part or ())]
