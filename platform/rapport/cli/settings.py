"""`rapport config show`: every setting as it is resolved, and where it comes from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.cli.printing import print_rows
from rapport.cli.stages import JOBS
from rapport.cli.usage import SettingsOption
from rapport.config import JobConfig, fitted, layers, settings_file, settings_in
from rapport.errors import RapportError
from rapport.provenance import Setting, settings_of
from rapport.runner import show

config_app = typer.Typer(
    help="Settings, and where each comes from.",
    epilog="Example: rapport config show",
    no_args_is_help=True,
)
EVERYWHERE = "everywhere"
_SERVE_S = 60


@config_app.callback()
def _config() -> None:
    """Settings, and where each comes from."""


@config_app.command("show", epilog="Example: rapport config show --json")
@plainly
def show_(
    context: typer.Context,
    config: SettingsOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Show every setting with where it comes from: default, file, environment or flag.

    Later ones win: defaults, rapport.toml (or --config), RAPPORT_... variables, flags. Passwords
    are masked. Jobs show what they have beside the settings that hold everywhere.
    """
    source = context.get_parameter_source("home")
    given = source is not None and source.name == "COMMANDLINE"
    with settings_in(config):
        file = settings_file()
        found = [*_of_jobs(home if given else None), *_of_serve(home if given else None)]
    if json_:
        show({"file": str(file) if file else None, "settings": found}, as_json=True)
    else:
        print_rows([{**row, "value": _shown(row["value"])} for row in found])


def _of_jobs(home: Path | None) -> Iterator[dict[str, Any]]:
    """What holds everywhere, then what each job has beside."""
    flags = {"home": home}
    stated = layers(JobConfig, flags=flags)
    everywhere = list(settings_of(fitted(JobConfig, stated), stated))
    yield from (_row(EVERYWHERE, one) for one in everywhere)
    for job, config_type in job_configs().items():
        stated = layers(config_type, defaults=_shipped(job), section=job, flags=flags)
        for one in settings_of(fitted(config_type, stated), stated):
            if one not in everywhere:
                yield _row(job, one)


def _row(of: str, setting: Setting) -> dict[str, Any]:
    return {"for": of, "setting": setting.name, "value": setting.value, "from": setting.source}


def job_configs() -> dict[str, type[JobConfig]]:
    """Configuration of each job, in order."""
    from rapport.pipeline import settings

    own: dict[str, type[JobConfig]] = {
        "ingest_logs": settings.IngestConfig,
        "embed_users": settings.EmbedConfig,
        "label_arms": settings.LabelConfig,
        "train_scorers": settings.ScorersConfig,
        "segment_personas": settings.SegmentConfig,
        "train_adapters": settings.AdaptersConfig,
        "train_policy": settings.TrainPolicyConfig,
        "evaluate_release": settings.EvaluateConfig,
        "promote_release": settings.PromoteConfig,
        "compact_lake": settings.CompactConfig,
        "propose_nudges": settings.NudgeConfig,
    }
    return {job: own.get(job, JobConfig) for job in JOBS}


def _shipped(job: str) -> Path | None:
    """The file of settings that ships beside a job."""
    spec = find_spec("rapport_jobs")
    folders = (spec and spec.submodule_search_locations) or ()
    files = (Path(folder) / "configs" / f"{job}.yaml" for folder in folders)
    return next((file for file in files if file.exists()), None)


def _of_serve(home: Path | None) -> list[dict[str, Any]]:
    """What the graph says of itself: it alone knows its settings."""
    command = [sys.executable, "-m", "rapport_serve.launch", "--settings"]
    command += ["--home", str(home)] if home else []
    ran = subprocess.run(  # noqa: S603  our own module
        command, stdout=subprocess.PIPE, text=True, check=False, timeout=_SERVE_S
    )
    told = json.loads(ran.stdout or "{}")
    if ran.returncode:
        raise SettingsFailedError(ran.returncode, told.get("error", {}).get("message", ""))
    return [_row("serve", Setting(*one)) for one in told]


class SettingsFailedError(RapportError):
    """The graph's settings cannot be resolved."""

    code = "config"

    def __init__(self, status: int, said: str) -> None:
        super().__init__(status, said)
        self.exit_code, self.said = status, said

    def __str__(self) -> str:
        return self.said


def _shown(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)
