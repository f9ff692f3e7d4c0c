"""The serving half of a demo: simulated users talk to the graph over HTTP."""

import time
from collections.abc import Sequence

from rapport.cli.conversations import Conversations, Outcome
from rapport.cli.demo_journal import served_decisions
from rapport.cli.demo_steps import Demo
from rapport.cli.serving import served
from rapport.cli.stage_lines import say
from rapport.cli.stages import run_stage
from rapport.lake import Lake
from rapport.report.facts import keep_shown
from rapport.simulation.live import SimulatedUser

DECISIONS = 160
"""Decisions to serve over HTTP."""
TALKERS = 16
"""Simulated users who talk; eight at once."""
TALK_S = 240
"""Seconds after which they stop in any case; 2 cores need 80 to 120."""
SHOWN = 3
"""Messages answered in three ways, for the report."""
_BEGUN, _TALKS = "talks begun", "conversations"


def serve(demo: Demo) -> Outcome:
    """Let users talk to the release, as far as an earlier demo did not; ask for one ranked list.

    The ranked list and the replies side by side are dry runs: asked again, they leave no trace.
    """
    users = SimulatedUser.several(TALKERS, seed=demo.seed + 1, config=demo.world)
    begun = demo.journal.take(_BEGUN)
    earlier = demo.journal.take(_TALKS) if begun else None
    wanted = 0 if earlier else _wanted(demo, begun)
    demo.begin("serve until ready")
    started = time.monotonic()
    with served(demo.home.root) as ready:
        ready_s = time.monotonic() - started
        demo.note("serve until ready", ready_s, {"runner": "Ray Serve"})
        deadline_s = TALK_S * demo.scale
        talks = Conversations(ready["url"], ready["key"], decisions=wanted, deadline_s=deadline_s)
        if earlier:
            demo.reuse(_TALKS, earlier)
        else:
            demo.step(_TALKS, lambda: _talk(talks, users, before=DECISIONS - wanted))
        demo.doing = "asking for examples"
        talks.outcome.ranked = talks.ranked_list(users[0])
        keep_shown(demo.home, "side_by_side", [talks.side_by_side(user) for user in users[:SHOWN]])
    return talks.outcome


def _wanted(demo: Demo, begun: dict[str, int] | None) -> int:
    """How many decisions are still to be served; a demo that was stopped amid them served some."""
    lake = Lake(demo.home.lake)
    if begun is None:
        demo.journal.note(_BEGUN, {"served": served_decisions(lake)})
        return DECISIONS
    run_stage("relay_outbox", home=demo.home.root)
    there = served_decisions(lake) - begun["served"]
    if there:
        say(f"  {there} decisions were served before the demo was stopped; they count")
    return max(DECISIONS - there, 1)


def _talk(
    talks: Conversations, users: Sequence[SimulatedUser], *, before: int
) -> dict[str, object]:
    outcome = talks.hold(users)
    return {
        "decisions": len(outcome.exchanges),
        "before": before,
        "feedback": outcome.feedback,
        "users": len({exchange.user for exchange in outcome.exchanges}),
        "failed": len(outcome.failures),
        "runner": "openai SDK over HTTP",
    }
