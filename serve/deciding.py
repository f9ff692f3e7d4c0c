"""What would be answered, and why: `python -m serve.deciding --home .rapport < request.json`.

    {"text": "...", "user": "ann", "agent": "emotional_support", "personas": ["wry-03"]}

Everything that chooses a reply, and nothing that writes one: no language model, no Ray, no server.
Nothing is logged, and the user is not remembered to have spoken.
"""

import argparse
import json
import signal
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rapport.arms import DEFAULT_AGENT
from rapport.config import resolve
from rapport.errors import (
    ConfigError,
    RapportError,
    StoppedError,
    UnavailableError,
    UnknownNameError,
)
from rapport.explanation.explain import explain
from rapport.explanation.shape import Explanation
from rapport.governance.tenants import EMBEDDED_TENANT, load_tenants
from rapport.home import home_of
from rapport.release import current
from rapport.runner import of_machine, tell
from rapport.store import Store, open_store

from .bundle import Bundles
from .hearing import Hearing
from .joining import load_reader
from .minds import Minds
from .parties import Parties
from .plan import Plan
from .planner import Planner
from .reading import Reader
from .rows import decision_row
from .settings import AppConfig
from .speech import Sample, Speech
from .wire import ChatRequest, UserFields


class Asked(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1)
    user: str = Field(min_length=1, max_length=256)
    agent: str = DEFAULT_AGENT
    tenant: str = EMBEDDED_TENANT
    personas: list[str] = []
    """Answer as if the user were of each of these, too."""


class Likeliest(BaseModel):
    """The kind of reply with the largest probability."""

    arm: str
    probability: float
    instruction: str


class Decided(BaseModel):
    """What would be answered to one user, or as one persona."""

    persona_id: str | None
    pinned: bool
    adapter: str | None = Field(description="Name of the LoRA adapter that would write.")
    likeliest: Likeliest | None = Field(description="Null where no kind of reply is drawn.")
    explanation: Explanation


@dataclass(frozen=True)
class Deciding:
    """The deciding half of the graph over a home."""

    hearing: Hearing
    planner: Planner
    bundles: Bundles
    store: Store
    releases: Path

    @classmethod
    def over(cls, config: AppConfig, store: Store, reader: Reader) -> "Deciding":
        """Join what decides; `serve.joining.join` joins the whole."""
        home, bundles = home_of(config), Bundles(home_of(config).releases)
        bundles.switch(store.switches.off())
        parties = Parties(
            store,
            secret=home.secret(),
            tenants=load_tenants(home.tenants),
            base_model=config.base_model,
        )
        hearing = Hearing(bundles=bundles, store=store, reader=reader, parties=parties)
        planner = Planner(Minds(store, reader.encoder.encoder_id), mode=config.mode)
        return cls(hearing, planner, bundles, store, home.releases)

    def decided(self, asked: Asked) -> list[Decided]:
        """Decide for the user as he is known, then as if he were of each persona named.

        Raises:
            UnknownNameError: No such persona may be pinned.
            ServingError: An unknown agent, or a text without words.
        """
        known = self.bundles.now.personas
        for name in asked.personas:
            if name not in known:
                raise UnknownNameError("persona", name, known)
        return [self._one(asked, name) for name in (None, *asked.personas)]

    def _one(self, asked: Asked, persona: str | None) -> Decided:
        plan = self.hearing.heard(asked.tenant, _chat(asked, persona), None)
        if not plan.crisis:
            plan = self.planner.decided(plan)
        plan = _likeliest_first(plan)
        said = plan.ready or ""
        speech = Speech(delivered=plan.delivered, samples=[Sample(text=said, read=said)])
        row = decision_row(plan, speech) | {"rng_seed": None}
        history = self.store.switches.history()
        told = explain(row, self.releases, history=history, logged=False)
        return Decided(
            persona_id=told.persona.persona_id if told.persona else None,
            pinned=persona is not None,
            adapter=plan.adapter[0],
            likeliest=_likeliest(plan),
            explanation=told,
        )


def main() -> int:
    """Decide about one request from stdin; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m serve.deciding")
    parser.add_argument("--home", type=Path)
    try:
        _decide(resolve(AppConfig, flags={"home": parser.parse_args().home}))
    except RapportError as error:
        return tell(error, who="decide", as_json=True)
    except (OSError, MemoryError) as error:
        lacking = of_machine(error)
        if lacking is None:
            raise
        return tell(lacking, who="decide", as_json=True)
    except KeyboardInterrupt:
        return tell(StoppedError(signal.SIGINT), who="decide", as_json=True)
    return 0


def _decide(config: AppConfig) -> None:
    home = home_of(config, make=False)
    try:
        asked = Asked.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(str(first["loc"][0]), None, first["msg"]) from None
    release = current(home.releases)
    name = release.name if release else None
    sys.stderr.write(
        f"loading release {name}, the text encoder {config.encoder} and the affect scorer; "
        "no language model\n"
    )
    with closing(open_store(home.store_url)) as store:
        deciding = Deciding.over(config, store, load_reader(config))
        if deciding.bundles.refusal is not None:
            raise UnavailableError(deciding.bundles.refusal.reason)
        told = [each.model_dump() for each in deciding.decided(asked)]
    sys.stdout.write(json.dumps({"release_id": name, "decided": told}) + "\n")


def _chat(asked: Asked, persona: str | None) -> ChatRequest:
    """The chat request that would be answered; a persona that is tried answers in any case."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": asked.text}],
        "rapport::user": UserFields(id=asked.user),
        "rapport::agent_id": asked.agent,
        "rapport::dryrun": True,
    }
    if persona is not None:
        body |= {"model": f"rapport:{persona}", "rapport::mode": "arm_first"}
    return ChatRequest.model_validate(body)


def _likeliest_first(plan: Plan) -> Plan:
    """The plan with the likeliest in place of what was drawn: asked again, it is the same."""
    if plan.draw is None:
        return plan
    return replace(plan, draw=replace(plan.draw, index=int(plan.draw.probability.argmax())))


def _likeliest(plan: Plan) -> Likeliest | None:
    if plan.draw is None or plan.draw.arm is None:
        return None
    arm = plan.draw.arm
    return Likeliest(arm=arm.name, probability=plan.draw.propensity, instruction=arm.instruction)


if __name__ == "__main__":
    sys.exit(main())
