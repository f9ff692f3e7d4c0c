"""The first look at an upstream, before anything is started."""

import sys

from rapport.errors import ConfigError, UpstreamDownError, UpstreamSetupError
from rapport.language.settings import UpstreamSettings
from rapport.language.upstream import find_models


def check_upstream(settings: UpstreamSettings) -> None:
    """Ask an upstream whether it takes the key and has the model.

    One that does not answer now may answer later, and not all of them list their models, so that
    is told and serving starts all the same.

    Raises:
        ConfigError: It refuses the key, or the variable that should hold it is not set.
    """
    try:
        models = find_models(settings)
    except UpstreamSetupError as error:
        remedy = f"the upstream answers {error.upstream_status}; {error.remedy}"
        raise ConfigError("key_env", settings.key_env, remedy) from error
    except UpstreamDownError:
        _tell(f"{settings.url} does not answer now; replies come from the approved library")
        return
    if models is not None and settings.model not in models:
        listed = ", ".join(sorted(models)[:12]) or "none"
        _tell(f"it does not list the model {settings.model!r}; it lists {listed}")


def _tell(what: str) -> None:
    sys.stderr.write(f"serve: upstream: {what}\n")
