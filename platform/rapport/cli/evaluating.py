"""`rapport evaluate`: measure what a log or a model can do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.cli.printing import console, print_rows
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.progress import working
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.affect.scorers import AffectScorer
    from rapport.measuring.result import Measure, Result
    from rapport.text import TextEncoder

evaluate_app = typer.Typer(
    help="Measure, with n and intervals.",
    epilog="Example: rapport evaluate power --effect 0.05",
    no_args_is_help=True,
)


@evaluate_app.callback()
def _evaluate() -> None:
    """Measure, with n and intervals."""


@evaluate_app.command(epilog="Example: rapport evaluate power --effect 0.05")
@plainly
def power(
    effect: Annotated[
        float, typer.Option("--effect", help="Gain or harm in reward units a decision.")
    ] = 0.02,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say which gain or harm this log can show, and when a stated one becomes decidable."""
    from rapport.errors import TooLittleDataError
    from rapport.lake import Lake
    from rapport.report.facts import Facts
    from rapport.report.proof import as_frame, proof_of

    if effect <= 0:
        raise ConfigError("--effect", effect, "state a gain or harm above 0 reward units")
    opened = Home(home)
    found = proof_of(Facts(opened, Lake(opened.lake), tenant), effect)
    if found is None:
        raise TooLittleDataError("users with feedback on a decision", 0, 2)
    rows = as_frame(found).to_dicts()
    if json_:
        show({"effect": effect, "off_policy": found.off_policy, "groups": rows}, as_json=True)
    else:
        print_rows(rows, title=f"What shows in 80 % of cases; when {effect:g} does")


DataOption = Annotated[Path, typer.Option("--data", help="File or folder to measure on.")]


@evaluate_app.command(epilog="Example: rapport evaluate ope --data open_bandit")
@plainly
def ope(
    data: DataOption,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            help="Parquet or CSV of what a policy would do in the decisions of --data: "
            "decision_id with candidate_probabilities, or arm with probability.",
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Estimate what a policy would have earned, from another's log.

    Of an Open Bandit folder each policy's value from the other's log, beside the truth; of a
    Parquet of decisions the value of --policy. Exit code 3 where the effective sample is too small
    in every group.
    """
    from rapport.measuring.logged_decisions import measure_policy
    from rapport.measuring.open_bandit import measure_open_bandit

    if policy is None and data.is_file():
        raise ConfigError("--policy", None, "name the file that states the policy to value")
    with working("evaluate ope", None):
        result = measure_open_bandit(data) if policy is None else measure_policy(data, policy)
    _tell(result, as_json=json_)
    raise typer.Exit(3 if result.refused else 0)


@evaluate_app.command(epilog="Example: rapport evaluate affect --data goemotions/dev.tsv")
@plainly
def affect(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="GoEmotions, EPITOME or ESConv, files or folders; default: the sets that this "
            "home's scorers were trained on.",
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure the scorers of emotion, empathy and support strategies on labelled sets.

    Emotion is read by the scorer trained in this home, else by the shipped one. The others are
    trained here, by `rapport run train_scorers --data DIR`, and measured on what they learned from
    by weights that did not see it.
    """
    from rapport.measuring.affect import joined, measure_affect

    with working("evaluate affect", None):
        results = measure_affect(data or (), home=Home(home, make=False).root)
    for result in [joined(results)] if json_ else results:
        _tell(result, as_json=json_)


@evaluate_app.command(epilog="Example: rapport evaluate reward --data esconv")
@plainly
def reward(data: DataOption, home: HomeOption = DEFAULT_HOME, json_: JsonOption = False) -> None:
    """Measure the reward that is read from messages against ESConv's surveys and failures."""
    from rapport.measuring.validity import (
        last_sentiment,
        measure_reward,
        message_length,
        shipped_reward,
        shipped_variants,
    )

    with working("evaluate reward", None):
        scorer, encoder = _scorer(home, data)
        readings = {
            "rapport": shipped_reward(scorer, encoder),
            "last_message": last_sentiment(scorer, encoder),
            "message_length": message_length(),
        }
        result = measure_reward(data, readings, shipped_variants(scorer, encoder))
    _tell(result, as_json=json_)


def _scorer(home: Path, data: Path) -> "tuple[AffectScorer, TextEncoder]":
    """The emotion scorer trained in this home, or shipped, and the encoder it reads `data` with."""
    from rapport.affect.scorers import load_scorer
    from rapport.config import ENCODER_URI
    from rapport.measuring.result import existing
    from rapport.text import load_encoder

    existing(data)  # before anything is loaded
    encoder = load_encoder(ENCODER_URI)
    models = Home(home, make=False).root / "models"
    return load_scorer(models, encoder_id=encoder.encoder_id), encoder


@evaluate_app.command(epilog="Example: rapport evaluate replies --home .rapport")
@plainly
def replies(
    tenant: TenantOption = "default",
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Most replies read, the newest.")
    ] = 5000,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure the replies that were served: their fit, loops, empty ones, who wrote them."""
    from rapport.config import ENCODER_URI
    from rapport.lake import Lake
    from rapport.measuring.replies import delivered, measure_replies
    from rapport.text import load_encoder

    opened = _existing(home)
    with working("evaluate replies", None):
        found = delivered(Lake(opened.lake), tenant=tenant, limit=limit)
        result = measure_replies(found, load_encoder(ENCODER_URI), home=opened.root)
    _tell(result, as_json=json_)


ReleaseOption = Annotated[
    str | None, typer.Option("--release", help="Id or alias; default: the one that serves.")
]


@evaluate_app.command(epilog="Example: rapport evaluate personas --data log")
@plainly
def personas(
    data: DataOption,
    release: ReleaseOption = None,
    limit: Annotated[int, typer.Option("--limit", min=40, help="Most users.")] = 1500,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure the personas found in a simulated log against its truth, and on halves of it.

    They are the release's; without one they are fitted on the log first.
    """
    from rapport.config import ENCODER_URI
    from rapport.measuring.recovery import measure_personas
    from rapport.measuring.released import released
    from rapport.text import load_encoder

    chosen = released(Home(home, make=False), release)
    with working("evaluate personas", None):
        encoder = chosen.text_encoder() if chosen else load_encoder(ENCODER_URI)
        result = measure_personas(data, encoder, release=chosen, limit=limit)
    _tell(result, as_json=json_)


@evaluate_app.command(
    epilog="Example: rapport evaluate changes --data langfuse_export --format langfuse"
)
@plainly
def changes(
    data: Annotated[Path, typer.Option("--data", help="File or folder of somebody's log.")],
    format_: Annotated[str, typer.Option("--format", help="As for rapport ingest.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML file of lines `our field: their column`.")
    ] = None,
    purposes: Annotated[
        str | None, typer.Option("--purposes", help="Comma-separated; default: the tenant's.")
    ] = None,
    release: ReleaseOption = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, help="Most minutes spent on reading replies.")
    ] = 10.0,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Say what would change if the release answered this log; nothing is deployed or written.

    How often another kind of reply would be drawn, by persona, and what that may earn; which kinds
    the log shows; what it lacks. Works without a release, too, and tells less.
    """
    from rapport.config import resolve
    from rapport.measuring.changes import measure_changes
    from rapport.measuring.released import released
    from rapport.pipeline.settings import IngestConfig

    sets = [f"format={format_}", f"tenant={tenant}", *_purposes(purposes)]
    flags = {"home": home, "paths": [str(data)], **({"mapping": mapping} if mapping else {})}
    opened = Home(home, make=False)
    config = resolve(IngestConfig, sets=sets, flags=flags)
    with working("evaluate changes", None):
        chosen = released(opened, release)
        result = measure_changes(config, opened, chosen, seconds=30 * minutes)
    _tell(result, as_json=json_)


def _purposes(stated: str | None) -> list[str]:
    return [f"purposes=[{stated}]"] if stated else []


@evaluate_app.command(epilog="Example: rapport evaluate lm --data esconv")
@plainly
def lm(
    data: DataOption,
    release: ReleaseOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Most replies, drawn at random.")
    ] = 200,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure perplexity of replies under the base model, prompts with a card, and adapters.

    On users that the release did not learn from. About a second a reply.
    """
    from rapport.measuring.perplexity import measure_language
    from rapport.measuring.released import released

    opened = _existing(home)
    chosen = released(opened, release)
    if chosen is None:
        remedy = "none serves in this home: make one with rapport demo or rapport run, or --home"
        raise ConfigError("--release", None, remedy)
    with working("evaluate lm", None):
        result = measure_language(data, opened, chosen, tenant=tenant, limit=limit)
    _tell(result, as_json=json_)


@evaluate_app.command(epilog="Example: rapport evaluate ladder --data esconv --limit 60")
@plainly
def ladder(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Dialogues to measure on; default: simulated ones."),
    ] = None,
    release: ReleaseOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=20, help="Most messages, drawn at random.")
    ] = 100,
    tenant: TenantOption = "default",
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Answer held-out people's messages with ever more of a release, and compare blind.

    The rungs: the base model, our prompt, exemplars and the persona's card, the persona's adapter,
    and the whole release. About five seconds a message; what is found goes into the next card.
    """
    from rapport.card.trying import try_ladder
    from rapport.measuring.released import released

    opened = _existing(home)
    chosen = released(opened, release)
    if chosen is None:
        remedy = "none serves in this home: make one with rapport demo or rapport run, or --home"
        raise ConfigError("--release", None, remedy)
    with working("evaluate ladder", None):
        result = try_ladder(data, opened, chosen, tenant=tenant, limit=limit)
    _tell(result, as_json=json_)


@evaluate_app.command("card", epilog="Example: rapport evaluate card --full")
@plainly
def card_(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Release or candidate; default: the one that serves."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Ask every question, and tempt it: two minutes an adapter on two cores."
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure what a card says of the adapters' truth and conduct; the next card takes it up.

    Without --full 40 questions are asked, which refuses only what is beyond doubt. A release that
    serves keeps the card it was judged with: rapport run evaluate_release --force judges again.
    """
    from rapport.card.conduct import measured
    from rapport.cli.carding import judged_folder, print_section
    from rapport.config import JobConfig, resolve
    from rapport.models import pull
    from rapport.pipeline.settings import CardSettings

    folder = judged_folder(home, name)
    asked = CardSettings(boundaries=True) if full else CardSettings(questions=40)
    model = pull(resolve(JobConfig, flags={"home": home}).language_model)
    with working("evaluate card", None):
        found = measured(_existing(home), folder, model, asked)
    if not found:
        raise ConfigError("card", folder.name, "it holds no adapters: there is nothing to ask")
    if json_:
        told = [section.model_dump(mode="json") for section in found]
        show({"release": folder.name, "sections": told}, as_json=True)
        return
    for section in found:
        print_section(section)


def _existing(home: Path) -> Home:
    """Open a home to look into; makes none."""
    opened = Home(home, make=False)
    if not opened.root.is_dir():
        raise ConfigError(
            "--home", str(home), "no home lies there: name one that a demo or run made"
        )
    return opened


def _tell(result: "Result", *, as_json: bool) -> None:
    if as_json:
        show(result.to_json(), as_json=True)
        return
    rows = [_row("", name, found) for name, found in result.metrics.items()]
    for group, held in result.groups.items():
        rows += [_row(group, name, found) for name, found in held.metrics.items()]
    print_rows(rows, title=f"{result.task} on {result.data.name}: n {result.n:,}")
    refused = [f"{name}: {held.refused}" for name, held in result.groups.items() if held.refused]
    for line in (*refused, *result.notes):
        console().print(line, highlight=False)


def _row(group: str, name: str, found: "Measure") -> dict[str, object]:
    ends = {"low": found.low, "high": found.high}
    return {"group": group or "-", "metric": name, "estimate": found.estimate, **ends, "n": found.n}
