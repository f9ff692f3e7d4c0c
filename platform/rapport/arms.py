"""Arms: the small, named, stable menu of kinds of reply that each agent may give."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from rapport.errors import UnknownNameError

DEFAULT_AGENT = "emotional_support"


class Arm(BaseModel):
    """One kind of reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    instruction: str
    """One sentence for the model, put with the arm's tag at the end of the user turn."""
    exemplars: tuple[str, ...] = ()
    safe_to_explore: bool = True
    """False keeps the arm out of random draws; it is still taken when it scores best."""
    serve: bool = True
    """False for arms that exist in logs only: an AI claims no past of its own."""
    replies: tuple[str, ...] = ()
    """Approved library: benign in any context, served when the model does not show the arm."""

    @property
    def prompt(self) -> str:
        """Tag and instruction as training and serving put them: `[question] Ask ...`."""
        return f"[{self.name}] {self.instruction}"


class Menu(BaseModel):
    """The arms of one agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent_id: str
    arms: tuple[Arm, ...]

    @property
    def served(self) -> tuple[Arm, ...]:
        """Arms a reply may be given under, in menu order."""
        return tuple(arm for arm in self.arms if arm.serve)

    def __getitem__(self, name: str) -> Arm:
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UnknownNameError("arm", name, [arm.name for arm in self.arms])


@cache
def load_menu(agent_id: str = DEFAULT_AGENT) -> Menu:
    """Read a shipped menu.

    Raises:
        UnknownNameError: No menu is shipped for that agent.
    """
    if agent_id not in agents():
        raise UnknownNameError("agent", agent_id, agents())
    text = (resources.files("rapport.menus") / f"{agent_id}.yaml").read_text(encoding="utf-8")
    return Menu.model_validate({"agent_id": agent_id, **yaml.safe_load(text)})


def agents() -> Sequence[str]:
    """Agents that a menu is shipped for."""
    files = resources.files("rapport.menus").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


@cache
def arm_names() -> tuple[str, ...]:
    """Every arm of every shipped menu, sorted: the policy's arm vocabulary."""
    return tuple(sorted({arm.name for agent in agents() for arm in load_menu(agent).arms}))
