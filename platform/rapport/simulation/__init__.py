"""Users with known minds: default input, ground truth of tests, environment and load."""

from rapport.simulation.live import Reaction, SimulatedUser, live_users
from rapport.simulation.logs import SimulatedLog, generate, read, simulate, write, write_generated
from rapport.simulation.settings import SimulationConfig
from rapport.simulation.truth import Values, expected_rewards, true_value, values

__all__ = [
    "Reaction",
    "SimulatedLog",
    "SimulatedUser",
    "SimulationConfig",
    "Values",
    "expected_rewards",
    "generate",
    "live_users",
    "read",
    "simulate",
    "true_value",
    "values",
    "write",
    "write_generated",
]
