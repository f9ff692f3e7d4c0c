"""Commands of `rapport`, one function each; the work is in the library."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SeedOption, plainly
from rapport.cli.releases import release_app
from rapport.cli.stages import JOBS, PIPELINE, run_stage, settings_for
from rapport.cli.verdicts import print_verdict
from rapport.home import Home
from rapport.runner import show

app = typer.Typer(
    name="rapport",
    help="The open empathy layer for AI agents: logs in, personas, adapters and a policy out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(release_app, name="release")
models_app = typer.Typer(help="Models: pinned, hashed, cached.", no_args_is_help=True)
app.add_typer(models_app, name="models")


@app.command(epilog="Example: rapport simulate --users 1500 --turns 20 --seed 1 --out log")
@plainly
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must be new or empty.")],
    users: Annotated[int, typer.Option("--users", min=1)] = 1500,
    turns: Annotated[int, typer.Option("--turns", min=1, help="User turns a user.")] = 20,
    days: Annotated[int, typer.Option("--days", min=1)] = 60,
    seed: SeedOption = 0,
    json_: JsonOption = False,
) -> None:
    """Write logs of users with known minds, truth beside them."""
    from rapport.errors import ConfigError
    from rapport.simulation import SimulationConfig, generate, write

    if out.exists() and any(out.iterdir()):
        raise ConfigError("--out", str(out), "the folder holds files; name a new or empty one")
    log = generate(SimulationConfig(users=users, turns=turns, days=days, seed=seed))
    write(log, out)
    counts = {name: getattr(log, name).height for name in ("turns", "decisions", "feedback")}
    show({"folder": str(out), "users": users, **counts}, as_json=json_)


@app.command(epilog="Example: rapport ingest esconv ../data/esconv")
@plainly
def ingest(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="simulation or esconv")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...")],
    tenant: Annotated[str, typer.Option("--tenant")] = "default",
    purposes: Annotated[
        str | None, typer.Option("--purposes", help="Comma-separated; default: the tenant's.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Bring somebody's logs into the lake; running it again changes nothing."""
    sets = [f"format={format_}", f"tenant={tenant}"]
    sets.append("paths=[" + ", ".join(f'"{path.absolute()}"' for path in paths) + "]")
    if purposes:
        sets.append(f"purposes=[{purposes}]")
    with Home(home).lock("run"):
        show(run_stage("ingest_logs", home=home, sets=sets), as_json=json_)


@app.command(epilog="Example: rapport run embed_users --set threshold_rows=1000")
@plainly
def run(
    jobs: Annotated[list[str] | None, typer.Argument(metavar="[JOB]...")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="JOB.KEY=VALUE is for that job alone."),
    ] = None,
    data: Annotated[list[Path] | None, typer.Option("--data", help="For train_scorers.")] = None,
    config: Annotated[Path | None, typer.Option("--config")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Ray cluster to run on.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each job would do; write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Run jobs even if nothing changed.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Run the pipeline, or the jobs named, in order; jobs that have nothing to do say so."""
    settings = list(sets or ())
    if data:
        settings.append("data=[" + ", ".join(f'"{path.absolute()}"' for path in data) + "]")
    flags = [*(["--force"] if force else []), *(["--dry-run"] if dry_run else [])]
    with nullcontext() if dry_run else Home(home).lock("run"):
        for job in jobs or PIPELINE:
            result = run_stage(
                job,
                home=home,
                sets=settings_for(job, settings),
                config=config,
                address=address,
                flags=flags,
            )
            if "reporting_rates" in result and not json_:
                print_verdict(result, title=f"{job}: the gate on candidate {result['candidate']}")
            else:
                show({"job": job, **result}, as_json=json_)


run.__doc__ = f"""Run the pipeline, or the jobs named, in order: {", ".join(JOBS)}.

A run that was stopped goes on where it was: jobs that are done say that they are unchanged.
"""


@app.command(epilog='Example: rapport sql "select count(*) from decisions"')
@plainly
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the lake's tables and views.")],
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Query the lake with DuckDB, read only."""
    import json

    from rapport.cli.printing import print_rows
    from rapport.lake import Lake, to_json_rows

    opened = Home(home)
    rows = to_json_rows(Lake(opened.lake).sql(query, secret=opened.secret()))
    if json_:
        sys.stdout.write(json.dumps(rows, allow_nan=False) + "\n")
    else:
        print_rows(rows)


@app.command(epilog="Example: rapport serve --port 8000")
@plainly
def serve(
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 8000,
    config: Annotated[Path | None, typer.Option("--config", help="serve/config.yaml")] = None,
    explore: Annotated[float | None, typer.Option("--explore", min=0, max=0.5)] = None,
    address: Annotated[str | None, typer.Option("--address")] = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Serve the graph until Ctrl-C or SIGTERM; prints the address and a key when ready."""
    from rapport.cli.serving import serve_command

    command = serve_command(home=home, port=port, config=config, explore=explore, as_json=json_)
    with subprocess.Popen(command, env=serve_environment(address)) as process:  # noqa: S603
        try:
            status = process.wait()
        except KeyboardInterrupt:
            status = process.wait()
    if status:
        raise typer.Exit(status)


def serve_environment(address: str | None) -> dict[str, str] | None:
    """Environment of the serving process: the cluster's address, where one is named."""
    import os

    return {**os.environ, "RAY_ADDRESS": address} if address else None


@app.command(epilog="Example: rapport demo --minutes 15")
@plainly
def demo(
    data: Annotated[Path | None, typer.Option("--data", help="ESConv folder or file.")] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=3, help="Whole time aimed at.")] = 14,
    users: Annotated[int, typer.Option("--users", min=50)] = 1500,
    seed: SeedOption = 0,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Close the loop on this machine: logs in, people answered, feedback learned from."""
    from rapport.cli.demo import run_demo

    run_demo(home=home, data=data, minutes=minutes, users=users, seed=seed, as_json=json_)


@models_app.command("pull", epilog="Example: rapport models pull")
@plainly
def models_pull(
    uris: Annotated[list[str] | None, typer.Argument(metavar="[URI]...")] = None,
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
