"""How tests are dealt to processes: a module to one, all that share a home to the same one."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED = "tests/e2e/"


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """Modules one by one, and the end-to-end tests, which share a home, together."""

    def _split_scope(self, nodeid: str) -> str:
        return SHARED if nodeid.startswith(SHARED) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)
