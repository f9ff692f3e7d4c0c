"""What the batch side would learn from a home that has served."""

from dataclasses import dataclass
from pathlib import Path

from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.lessons import lessons
from rapport.pipeline.outbox import relay_all
from rapport.pipeline.policies import latest_rewards, load_dataset
from rapport.pipeline.rehearsed_models import embed_here
from rapport.pipeline.rewards import reward_log
from rapport.users.timelines import messages


@dataclass(frozen=True)
class Learnt:
    """Names that reached training data and rewards."""

    decisions: frozenset[str]
    """Of the policy's dataset, whatever part."""
    users: frozenset[str]
    """Of that dataset, of the adapters' lessons and of the messages that may train."""
    rewarded: frozenset[str]
    """Decisions with a reward."""
    lake_users: frozenset[str]
    """Everybody the lake has decisions of: what the other names could have been."""


def learn(home: Path) -> Learnt:
    """Relay what was served, embed it, reward it, and read it as the trainings do."""
    config = JobConfig.model_validate({"home": home, "encoder": f"file:{home}/encoder"})
    relay_all(config)
    embed_here(config)
    reward_log(config)
    lake = lake_of(config)
    data = load_dataset(lake, Home(home), tenant="default")
    taught = lessons(lake, tenant="default", per_persona=10**6, seed=0)
    pupils = {
        example.user for lesson in taught.values() for example in (*lesson.train, *lesson.held_out)
    }
    written = messages(lake, purpose="train")["user_id"]
    everyone = lake.scan("decisions", purpose="serve").select("user_id").collect()["user_id"]
    return Learnt(
        decisions=frozenset(data.decision_id.tolist()),
        users=frozenset({*data.user.tolist(), *pupils, *written}),
        rewarded=frozenset(latest_rewards(lake)["decision_id"]),
        lake_users=frozenset(everyone),
    )
