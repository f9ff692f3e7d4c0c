"""Models of a smoke run, trained in this process within seconds."""

import shutil
from functools import partial

from rapport.affect.strategy import StrategyScorer
from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.language.adapters import find_adapters
from rapport.language.loading import load_trainable
from rapport.language.settings import Curriculum, TrainingSettings
from rapport.language.training import AdapterTrainer, train_all
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.pipeline.finishing import Readers, measure_arms, save_findings
from rapport.pipeline.lessons import lessons
from rapport.pipeline.policies import assemble, load_dataset, part
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.policy import Policy
from rapport.policy.reward_model import RewardSettings, fit_reward_model
from rapport.scratch import replaced, scratch_folder
from rapport.text import load_encoder
from rapport.users.embed import EmbedSettings, embed_users, stream_turns

_REPLIES = 15
_BRIEF = TrainingSettings(tokens=200, learning_rate=3e-3)
_GENTLE = Behaviour(a=1.0, b=6.0, temperature=1.0, epsilon=0.3)
"""Near enough to the logging policy that a small log can tell what it would earn."""


def embed_here(config: JobConfig) -> None:
    """Turns to vectors, in this process."""
    home, encoder = Home(config.home), load_encoder(config.encoder)
    embed_users(
        lake_of(config),
        stream=partial(stream_turns, encoder=encoder),
        encoder_id=encoder.encoder_id,
        settings=EmbedSettings(tenant=config.tenant),
        work=home.work,
    )


def adapt_here(config: JobConfig) -> None:
    """Adapters of the tiny model, a few steps each, and which arms they show: by chance, if any."""
    home = Home(config.home)
    taught = lessons(lake_of(config), tenant=config.tenant, per_persona=20, seed=config.seed)
    readers = Readers(load_encoder(config.encoder), StrategyScorer.load(part(home, "strategies")))
    model = pull(config.language_model)
    curriculum = Curriculum(shared=_BRIEF, persona=_BRIEF, held_out=8)
    with scratch_folder(home.work, ".rehearsed.") as scratch:
        trainer = AdapterTrainer(load_trainable(model))
        train_all(trainer, taught, curriculum, out=scratch)
        engine = TransformersEngine(model, find_adapters(scratch))
        showings = measure_arms(engine, taught, readers, n=_REPLIES, seed=config.seed)
        with replaced(home.work / "adapters") as folder:
            shutil.copytree(scratch, folder, dirs_exist_ok=True)
            save_findings(folder, showings, None)


def learn_here(config: JobConfig) -> None:
    """The reward model with its default settings at a gentle behaviour; no search."""
    home, lake = Home(config.home), lake_of(config)
    data = load_dataset(lake, home, tenant=config.tenant)
    known, settings = data.part("train", "tune"), RewardSettings()
    policy = Policy(
        layout=data.layout,
        behaviour=_GENTLE,
        learner=settings.learner,
        context=fit_context_model(known),
        scorer=fit_reward_model(known, settings, seed=config.seed),
        recipe=settings.model_dump(),
    )
    assemble(home, lake, policy, users=set(known.user.tolist()), seed=config.seed)
