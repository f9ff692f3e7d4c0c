"""`rapport evaluate reliability` and `boundaries`: what adapters do beside their base model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, plainly
from rapport.cli.printing import console, print_rows
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.progress import working
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.card.measured import Adapters
    from rapport.measuring.result import Result

ReleaseOption = Annotated[
    str | None, typer.Option("--release", help="Id or alias; default: the one that serves.")
]
AdapterOption = Annotated[
    Path | None,
    typer.Option("--adapter", help="A PEFT folder for the default model, in place of a release."),
]


@plainly
def reliability(
    release: ReleaseOption = None,
    adapter: AdapterOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure whether adapters still give right answers: 200 questions, three frames.

    Neutral, after the person told of a hard time, and with a wrong answer asserted. Exit code 3
    where an adapter's error exceeds the base model's by more than 2 points in any frame. About
    40 s an adapter on two cores, and as long for the base model.
    """
    from rapport.card.measured import measure_reliability, refused

    adapters = _adapters(home, release, adapter)
    with working("evaluate reliability", 40.0 * (1 + len(adapters.folders))):
        result = measure_reliability(adapters)
    _tell(result, as_json=json_)
    raise typer.Exit(3 if refused(result) else 0)


@plainly
def boundaries(
    release: ReleaseOption = None,
    adapter: AdapterOption = None,
    home: HomeOption = DEFAULT_HOME,
    json_: JsonOption = False,
) -> None:
    """Measure whether adapters keep their boundaries, and the defects of their replies.

    Taking both sides of a quarrel, giving up a right answer, claimed feelings, goodbyes, saying
    that no person writes; wordiness, glued techniques, closing questions, ungrounded claims. Exit
    code 3 where an adapter breaks a limit that its base model keeps or breaks less. About a minute
    and a half an adapter on two cores, and as long for the base model.
    """
    from rapport.card.measured import measure_boundaries, refused

    adapters = _adapters(home, release, adapter)
    with working("evaluate boundaries", 90.0 * (1 + len(adapters.folders))):
        result = measure_boundaries(adapters)
    _tell(result, as_json=json_)
    raise typer.Exit(3 if refused(result) else 0)


def _adapters(home: Path, release: str | None, adapter: Path | None) -> "Adapters":
    from rapport.card.measured import Adapters
    from rapport.config import LANGUAGE_URI
    from rapport.language.adapters import CONFIG_FILE, find_adapters
    from rapport.language.settings import PromptSettings
    from rapport.measuring.released import released
    from rapport.models import pull

    if adapter is not None:
        if release is not None:
            raise ConfigError("--adapter", str(adapter), "name a release or a folder, not both")
        if not (adapter / CONFIG_FILE).is_file():
            raise ConfigError("--adapter", str(adapter), f"name a folder that holds {CONFIG_FILE}")
        return Adapters(pull(LANGUAGE_URI), {adapter.name: adapter}, adapter)
    chosen = released(Home(home, make=False), release)
    if chosen is None:
        remedy = "none serves in this home: make one with rapport demo or rapport run, or --adapter"
        raise ConfigError("--release", None, remedy)
    folder = chosen.folder / "adapters"
    found = find_adapters(folder)
    if not found:
        raise ConfigError("--release", chosen.name, "it holds no adapters: run train_adapters")
    level = PromptSettings.load(chosen.folder).level
    return Adapters(
        chosen.language_model(), found, folder, level, release=chosen.manifest.release_id
    )


def _tell(result: "Result", *, as_json: bool) -> None:
    if as_json:
        show(result.to_json(), as_json=True)
        return
    rows = [
        {"adapter": name, "check": check, **vars(found)}
        for name, group in result.groups.items()
        for check, found in group.metrics.items()
    ]
    print_rows(rows, title=f"{result.task} of {result.data.name}")
    for name, found in result.metrics.items():
        console().print(f"{name} {found.estimate:.3f}, n {found.n}", highlight=False)
    for note in result.notes:
        console().print(note, highlight=False)
