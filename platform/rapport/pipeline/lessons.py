"""What adapters learn from: logged replies that went well, by persona, users kept apart."""

from collections.abc import Mapping

import polars as pl

from rapport.arms import Menu, agents, load_menu
from rapport.lake import Lake
from rapport.language.examples import Example, Lesson, LoggedReply, choose
from rapport.language.prompts import Message
from rapport.language.upkeep import with_upkeep
from rapport.pipeline.policies import latest_rewards
from rapport.pipeline.readings import contexts_of
from rapport.users.split import Part, part_of

_APART = 37
"""Examples of upkeep between where one persona begins and the next."""


def lessons(
    lake: Lake, *, tenant: str, per_persona: int, seed: int, upkeep: float = 0.0
) -> dict[str, Lesson]:
    """Choose examples for every persona.

    Adapters learn from `train` users and are judged on `tune` users; a reply without a reward,
    with a crisis before it, or of a user without a persona teaches nothing.

    Args:
        lake: Read for the purpose `train`.
        tenant: Whose users.
        per_persona: Most examples a persona learns from.
        seed: Of the choice.
        upkeep: Share of what is learned from that is no user's; see `rapport.language.upkeep`.

    Returns:
        Lessons by persona; each example of a user is one message and the reply it got.
    """
    logged = _logged(lake, tenant)
    taught = choose(_of(logged, "train"), per_persona=per_persona, seed=seed)
    held_out = choose(_of(logged, "tune"), per_persona=per_persona, seed=seed)
    return {
        name: Lesson(
            with_upkeep(taught[name], share=upkeep, start=place * _APART), held_out.get(name, [])
        )
        for place, name in enumerate(taught)
    }


def _of(logged: list[LoggedReply], part: Part) -> list[LoggedReply]:
    return [each for each in logged if part_of(each.example.user) == part]


def _logged(lake: Lake, tenant: str) -> list[LoggedReply]:
    decisions = lake.scan("decisions", purpose="train").filter(
        pl.col("tenant") == tenant, pl.col("delivered") == "full"
    )
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct
    given = decisions.with_columns(arm=taken.field("arm"), reply=taken.field("text")).collect()
    contexts = contexts_of(lake, given).select("decision_id", "text")
    personas = lake.scan("persona_assignments").select("user_id", "persona_id").collect()
    rows = (
        given.select("decision_id", "user_id", "agent_id", "arm", "reply")
        .join(contexts, on="decision_id")
        .join(latest_rewards(lake), on="decision_id")
        .join(personas, on="user_id")
        .drop_nulls("reply")
    )
    menus = {agent: load_menu(agent) for agent in agents()}
    return [_reply(row, menus) for row in rows.iter_rows(named=True)]


def _reply(row: Mapping[str, str], menus: Mapping[str, Menu]) -> LoggedReply:
    menu = menus.get(row["agent_id"])
    served = {arm.name: arm for arm in menu.served} if menu else {}
    example = Example(
        messages=[Message(role="user", content=row["text"])],
        reply=row["reply"],
        arm=served.get(row["arm"]),
        persona=row["persona_id"],
        user=row["user_id"],
    )
    return LoggedReply(decision_id=row["decision_id"], reward=float(row["value"]), example=example)
