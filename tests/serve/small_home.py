"""A home with a promoted release of tiny models, made in seconds, and a scripted writer."""

from pathlib import Path

import numpy as np

from rapport.governance.access import APPLICATION, fresh_key, key_hash
from rapport.home import Home
from rapport.lake import lake_of
from rapport.language.discriminator import ReplyDiscriminator
from rapport.language.engine import Delta, GenerationRequest
from rapport.pipeline.policies import origin_of
from rapport.pipeline.ports import newest_candidate
from rapport.pipeline.rehearsal import STEPS, Stage, prepare
from rapport.pipeline.segments import segment
from rapport.pipeline.settings import PromoteConfig, SegmentConfig
from rapport.release import promote, publish
from rapport.store import open_store

WORLD = {"users": 200, "turns": 8, "days": 30, "personas": 2, "leaning": 0.5, "taste_spread": 0.9}
SECRET = bytes(32)
"""Under it users get the same keys in every run, and the same ones belong to control."""
BEFORE = ["ingest_logs", "embed_users", "compute_rewards", "train_scorers"]


def make(root: Path) -> Path:
    """A home whose release serves with a learned policy, two personas and a discriminator.

    The gate is not asked: a log of this size proves nothing, and here nothing is to be proven of
    it.
    """
    home = Home(root)
    keep_secret(home)
    config = PromoteConfig.model_validate(
        {
            "home": root,
            "smoke": {"prepare": BEFORE, "world": WORLD},
            "language_model": f"file:{root}/language",
            "encoder": f"file:{root}/encoder",
        }
    )
    prepare(config)
    base = config.model_dump(exclude={"smoke", "candidate", "budget_s"})
    segment(SegmentConfig(**base, k=WORLD["personas"]))  # so few turns tell nobody apart unasked
    stage = Stage(home, lake_of(config), base, WORLD)
    STEPS["train_adapters"](stage)
    rng = np.random.default_rng(0)
    other = rng.normal(size=(60, 3))
    judge = ReplyDiscriminator.fit(other + 1.0, rng.normal(size=(60, 3)), seed=0)
    judge.save(home.work / "adapters" / "discriminator.json")
    STEPS["train_policy"](stage)
    candidate = newest_candidate(home, None)
    assert candidate is not None
    origin = origin_of(home, lake_of(config), candidate.name)
    promote(home.releases, publish(candidate, home.releases, origin=origin))
    return root


def keep_secret(home: Home) -> None:
    """Give a home the tests' secret before it makes one of its own."""
    path = home.root / "secret.key"
    path.touch(mode=0o600)
    path.write_bytes(SECRET)


def key_of(home: Path, tenant: str = "default") -> str:
    """A fresh key of a tenant."""
    store, key = open_store(Home(home).store_url), fresh_key()
    store.keys.add(key_hash(key), tenant=tenant, scopes=APPLICATION, label="test")
    store.close()
    return key


class ScriptedWriter:
    """Write `reply`, a few characters a delta, as an engine would; score as told."""

    def __init__(self, reply: str = "That sounds hard. What happened next?", *, step: int = 7):
        self.reply, self.step = reply, step
        self.asked: list[GenerationRequest] = []
        self.scores: tuple[float, float] = (-1.0, 0.5)

    async def stream(self, request, adapter_folder=None):
        self.asked.append(request)
        pieces = [self.reply[i : i + self.step] for i in range(0, len(self.reply), self.step)]
        for n, piece in enumerate(pieces or [""], start=1):
            yield Delta(
                request_id=request.request_id,
                text=piece,
                finish="stop" if n >= len(pieces) else None,
                tokens_in=5,
                tokens_out=n,
            )

    async def score(self, pairs, adapter_folder=None):
        return [self.scores for _ in pairs]
