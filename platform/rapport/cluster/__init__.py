"""Everything that runs on Ray; no other folder of the library imports it.

Ray reads its environment once, when it is first imported, so it is set here, before any module
of this package can import Ray. On a cluster that is joined (`RAY_ADDRESS`) its operator's
settings hold and nothing is touched.
"""

import os
import secrets
import sys

from rapport.config import ray_address


def _prepare() -> None:
    """Set what a local Ray needs: no usage reports, and a token that no file ever holds.

    Token mode needs no setting where Ray was imported before us: `ray.init` turns it on itself.
    """
    if ray_address():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


_prepare()
