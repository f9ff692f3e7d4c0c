"""The first thing a newcomer sees answered: the base model, before any adapter is trained."""

from dataclasses import dataclass

import numpy as np

from rapport.arms import load_menu
from rapport.config import LANGUAGE_URI
from rapport.home import Home
from rapport.schema import new_id
from rapport.simulation.live import SimulatedUser
from rapport.text import load_encoder


@dataclass(frozen=True)
class FirstReply:
    """A reply and where it came from."""

    message: str
    persona_id: str
    posterior: float
    arm: str
    probabilities: dict[str, float]
    text: str
    origin: str


def first_reply(home: Home, *, seed: int) -> FirstReply:
    """Answer one simulated user with the base model.

    The persona is read from the message alone; the arm is drawn evenly, since no policy was
    trained yet.
    """
    from rapport.language.engine import GenerationRequest, complete
    from rapport.language.prompts import Message, build
    from rapport.language.sampling import Sampling
    from rapport.language.transformers_engine import TransformersEngine
    from rapport.models import pull
    from rapport.personas.model import PersonaModel

    message = SimulatedUser.several(1, seed=seed + 7)[0].first_message()
    model = PersonaModel.load(home.work / "personas")
    vector = load_encoder().encode([message])
    posterior = model.posterior(vector, np.ones(1))[0]
    arms = load_menu().served
    arm = arms[int(np.random.default_rng(seed).integers(len(arms)))]
    engine = TransformersEngine(pull(LANGUAGE_URI), places=1)
    request = GenerationRequest(
        request_id=new_id(),
        messages=build([Message(role="user", content=message)], arm=arm),
        sampling=Sampling(max_tokens=40, seed=seed),
    )
    best = int(posterior.argmax())
    return FirstReply(
        message=message,
        persona_id=model.names[best],
        posterior=float(posterior[best]),
        arm=arm.name,
        probabilities={each.name: 1 / len(arms) for each in arms},
        text=complete(engine, [request])[0].text,
        origin="base model",
    )
