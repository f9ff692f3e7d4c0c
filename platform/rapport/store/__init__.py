"""Online state: what is committed before it is acknowledged, and its way into the lake.

SQLAlchemy Core over SQLite (one writing process a home) or PostgreSQL, chosen by URL.
"""

from rapport.store.group import GroupCommitter
from rapport.store.keys import ApiKey, Keys
from rapport.store.minds import MindState
from rapport.store.records import ABANDONED, Change, Episode
from rapport.store.relay import relay
from rapport.store.store import Store, open_store
from rapport.store.switches import Switch, Switches
from rapport.store.users import UserState

__all__ = [
    "ABANDONED",
    "ApiKey",
    "Change",
    "Episode",
    "GroupCommitter",
    "Keys",
    "MindState",
    "Store",
    "Switch",
    "Switches",
    "UserState",
    "open_store",
    "relay",
]
