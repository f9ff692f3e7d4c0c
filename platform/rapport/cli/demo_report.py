"""What the demo prints, in the order a newcomer wonders about it."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rapport.cli.conversations import Exchange, Outcome
from rapport.cli.first_reply import FirstReply
from rapport.cli.printing import print_rows
from rapport.cli.running import print_personas
from rapport.cli.stage_lines import Row, console
from rapport.cli.verdicts import print_verdict

_SHOWN = 3

Results = Mapping[str, Mapping[str, Any]]


def first_output(personas: Mapping[str, Any], reply: FirstReply) -> None:
    """Show the personas, and one reply with its arm, probabilities and persona."""
    print_personas(personas)
    chances = ", ".join(f"{arm} {share:.2f}" for arm, share in reply.probabilities.items())
    console.print(f"[bold]Someone writes:[/bold] {reply.message}", highlight=False)
    console.print(f"[bold]Persona:[/bold] {reply.persona_id} ({reply.posterior:.2f})")
    console.print(f"[bold]Arm drawn:[/bold] {reply.arm}  out of  {chances}", highlight=False)
    console.print(f"[bold]{reply.origin}:[/bold] {reply.text}\n", highlight=False)


def summary(results: Results, outcome: Outcome, verdict: Mapping[str, Any]) -> None:
    """Print what was learned and what was served."""
    adapters(results["train_adapters"])
    policy(results["train_policy"], results["evaluate_release"])
    console.print(f"\nRelease published: {results['promote_release'].get('release')}")
    conversations(outcome)
    ranked_list(outcome.ranked)
    gate_verdict(verdict, title="The gate on the second policy, after what was served")


def adapters(result: Mapping[str, Any]) -> None:
    """Print the adapters' held-out perplexity, and which arms show in the text."""
    rows = [{"adapter": name, **report} for name, report in result["adapters"].items()]
    print_rows(rows, title="Adapters on held-out users")
    arms = [
        {
            "agent": agent,
            "replies": found["n"],
            "arm recovered": found["share"],
            "chance": found["chance"],
            "written by the adapters": ", ".join(found["shown"]) or "none",
        }
        for agent, found in result["arms"].items()
    ]
    print_rows(arms, title="Arms that show in the text; the others come from the approved library")


def policy(trained: Mapping[str, Any], judged: Mapping[str, Any]) -> None:
    """Print the learners side by side, the chosen one's estimate, and the first verdict."""
    print_rows(trained["learners"], title="Learners, by doubly robust value on validation users")
    console.print(f"Settings chosen: {trained['settings']}", highlight=False)
    gate_verdict(judged, title="The gate on the first policy, against the logging policy")


def gate_verdict(verdict: Mapping[str, Any], *, title: str) -> None:
    """Print a verdict with the rows it rests on, and where its decisions come from."""
    print_verdict(verdict, title=title)
    sources = [{"source": name, **sizes} for name, sizes in verdict["sources"].items()]
    print_rows(sources, title="Gate users' decisions by source")


def conversations(outcome: Outcome) -> None:
    """Print three conversations and what became of all of them."""
    by_user: dict[str, list[Exchange]] = {}
    for exchange in outcome.exchanges:
        by_user.setdefault(exchange.user, []).append(exchange)
    for user, exchanges in list(by_user.items())[:_SHOWN]:
        console.print(f"\n[bold]Conversation with {user}[/bold]")
        for exchange in exchanges[:_SHOWN]:
            block = exchange.decision
            told = f"{block['persona_id']}, {block['arm']}, {block['origin']}"
            told += f", propensity {block['propensity']:.3f}, {block['mode']}"
            console.print(f"  user   {exchange.message}", highlight=False)
            console.print(f"  reply  {exchange.reply}  [dim]({told})[/dim]", highlight=False)
    count = len(outcome.exchanges)
    console.print(
        f"\n{count} decisions served over HTTP in {outcome.seconds:.0f} s to "
        f"{len(by_user)} users, {outcome.feedback} pieces of feedback, "
        f"{len(outcome.failures)} failed requests",
        highlight=False,
    )


def ranked_list(ranked: Sequence[Row]) -> None:
    """Print one ranked list: nlp, rec and their product."""
    print_rows(ranked, title="One ranked list (mode rerank): nlp x rec")


def stage_table(stages: Sequence[Row], seconds: float) -> None:
    """Print every stage's time, runner and sizes."""
    print_rows(stages, title=f"Stages: {seconds / 60:.1f} minutes in all")


def as_json(results: Results, outcome: Outcome) -> None:
    """Print the results as one JSON object."""
    served = {"decisions": len(outcome.exchanges), "feedback": outcome.feedback}
    sys.stdout.write(json.dumps({**results, "served": served}, default=str) + "\n")
