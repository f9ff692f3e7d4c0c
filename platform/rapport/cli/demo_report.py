"""What the demo prints, in the order a newcomer wonders about it."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from rapport.cli.carding import say_card
from rapport.cli.conversations import Exchange, Outcome
from rapport.cli.demo_journal import when
from rapport.cli.log_sample import Sample
from rapport.cli.printing import print_rows
from rapport.cli.stage_lines import Row, console, say
from rapport.cli.verdicts import print_verdict

_SHOWN = 3

Results = Mapping[str, Mapping[str, Any]]


def sample(found: Sample) -> None:
    """Show how much a log holds, and one conversation of it."""
    mean = "" if found.rating is None else f", on average {found.rating:.2f}"
    console.print(
        f"The log holds {found.messages:,} messages of {found.users:,} users in "
        f"{found.conversations:,} conversations, and {found.ratings:,} ratings{mean}. One of them:",
        highlight=False,
    )
    for role, text in found.lines:
        console.print(f"  {role:<9} {text}", highlight=False, markup=False)
    if found.rated is not None:
        console.print(f"  [dim]rated {found.rated:g}[/dim]", highlight=False)
    console.print()


def first_reply(reply: Mapping[str, Any]) -> None:
    """Show one reply with its arm, probabilities and persona."""
    chances = ", ".join(f"{arm} {share:.2f}" for arm, share in reply["probabilities"].items())
    persona = f"{reply['persona_id']} ({reply['posterior']:.2f})"
    lines = {
        "Someone writes:": reply["message"],
        "Persona:": persona,
        "Arm drawn:": f"{reply['arm']}  out of  {chances}",
        f"{reply['origin']}:": reply["text"],
    }
    for head, said in lines.items():
        console.print(f"[bold]{head}[/bold] {escape(said)}", highlight=False)
    console.print()


def caught(told: Mapping[str, Any]) -> None:
    """Show the gate at work on two planted policies, with what is true; or why it could not be."""
    if "none" in told:
        say(told["none"])
        return
    print_rows(told["rows"], title="The gate at work: two policies from the same log")
    for line in (*told["lines"], *(f"  refused because: {why}" for why in told["reasons"])):
        say(line)


def summary(results: Results, outcome: Outcome, verdict: Mapping[str, Any]) -> None:
    """Print what was learned and what was served."""
    adapters(results["train_adapters"])
    policy(results["train_policy"], results["evaluate_release"])
    say(f"\nRelease published: {results['promote_release'].get('release')}")
    conversations(outcome, results["conversations"])
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
    say_card(judged)


def gate_verdict(verdict: Mapping[str, Any], *, title: str) -> None:
    """Print a verdict with the rows it rests on, and where its decisions come from."""
    print_verdict(verdict, title=title)
    sources = [{"source": name, **sizes} for name, sizes in verdict["sources"].items()]
    print_rows(sources, title="Gate users' decisions by source")


def conversations(outcome: Outcome, told: Mapping[str, Any]) -> None:
    """Print three conversations, where some were held now, and what became of all of them."""
    by_user: dict[str, list[Exchange]] = {}
    for exchange in outcome.exchanges:
        by_user.setdefault(exchange.user, []).append(exchange)
    for user, exchanges in list(by_user.items())[:_SHOWN]:
        console.print(f"\n[bold]Conversation with {user}[/bold]")
        for exchange in exchanges[:_SHOWN]:
            block = exchange.decision
            told_of = f"{block['persona_id']}, {block['arm']}, {block['origin']}"
            told_of += f", propensity {block['propensity']:.3f}, {block['mode']}"
            reply = f"{escape(exchange.reply)}  [dim]({told_of})[/dim]"
            console.print(f"  user   {escape(exchange.message)}", highlight=False)
            console.print(f"  reply  {reply}", highlight=False)
    earlier = f" on {when(told['at'])}" if "at" in told else ""
    before = f" (and {told['before']} before the demo was stopped)" if told["before"] else ""
    say(
        f"\n{told['decisions']} decisions served over HTTP{earlier} in {told['seconds']:.0f} s to "
        f"{told['users']} users{before}, {told['feedback']} pieces of feedback, "
        f"{told['failed']} failed requests"
    )


def ranked_list(ranked: Sequence[Row]) -> None:
    """Print one ranked list: nlp, rec and their product."""
    print_rows(ranked, title="One ranked list (mode rerank): nlp x rec")


def stage_table(stages: Sequence[Row], seconds: float) -> None:
    """Print every stage's time, runner and sizes, and how many were reused."""
    reused = sum(bool(row.get("reused")) for row in stages)
    shown = [{name: value for name, value in row.items() if name != "reused"} for row in stages]
    title = f"Stages: {seconds / 60:.1f} minutes in all"
    print_rows(shown, title=f"{title}, {reused} of {len(stages)} reused" if reused else title)


def as_json(results: Results) -> None:
    """Print the results as one JSON object."""
    talks = results["conversations"]
    served = {name: talks[name] for name in ("decisions", "feedback")}
    sys.stdout.write(json.dumps({**results, "served": served}, default=str) + "\n")
