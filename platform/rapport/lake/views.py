"""DuckDB over the lake's files: read-only views for people's questions."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from rapport.errors import ConfigError
from rapport.home import user_key
from rapport.schema import EVENT_TABLES, SCHEMAS

Connection: TypeAlias = duckdb.DuckDBPyConnection
Files: TypeAlias = list[str] | pa.Table
"""A table's Parquet files, or its rows where DuckDB cannot open files."""

_VIEWS = """
create view reward as
select * from rewards
qualify row_number() over (
    partition by tenant, decision_id order by reward_version desc, as_of desc
) = 1;

create view conversations as
with surveys as (
    select tenant, episode_id, metric_name, arg_max(value, ts) as value
    from feedback
    where decision_id is null and episode_id is not null and value is not null
    group by all
), surveyed as (
    select tenant, episode_id, map(list(metric_name), list(value)) as surveys
    from surveys group by all
), talked as (
    select
        tenant, conversation_id,
        any_value(user_id) as user_id,
        any_value(agent_id) as agent_id,
        any_value(journey_id) as journey_id,
        any_value(source) as source,
        count(*) filter (kind = 'message') as turns,
        count(*) filter (kind = 'message' and role = 'user') as user_turns,
        count(*) filter (kind <> 'message') as events,
        min(ts) as first_ts,
        max(ts) as last_ts
    from turns group by tenant, conversation_id
)
select talked.*, surveyed.surveys
from talked left join surveyed
    on talked.tenant = surveyed.tenant and conversation_id = episode_id;

create view decision_outcomes as
select
    decisions.*,
    candidates[action_index + 1].arm as arm,
    candidates[action_index + 1].text as reply,
    reward.value as reward,
    reward.reward_version,
    reward.channels,
    reward.as_of
from decisions left join reward using (tenant, decision_id);
"""
_TABLES_OF_VIEWS = {
    "reward": ("rewards",),
    "conversations": ("turns", "feedback"),
    "decision_outcomes": ("decisions", "rewards"),
}
_LOCKED_SETTINGS = (
    "SET TimeZone = 'UTC'",
    # Else a query could read variables of this very process by name.
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
)
_REFUSALS = (
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.PermissionException,
)
_ONE_SELECT = "the lake is read only here: ask one SELECT"
_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
"""What may stand after FROM beside tables: none of these opens a file."""


def open_views(
    tables: Mapping[str, Files],
    *,
    affect: Mapping[str, Sequence[str]],
    purpose: str,
    secret: bytes | None,
) -> Connection:
    """Open DuckDB on the given tables and lock it to them.

    Args:
        tables: Parquet files or rows of each table.
        affect: Columns to hide in rows that do not allow `infer_affect`, by event table.
        purpose: Event rows that do not allow it are left out.
        secret: Key for `user_key`, none to leave the function away.
    """
    connection = duckdb.connect()
    if secret is not None:
        _add_user_key(connection, secret)
    paths = [path for files in tables.values() if isinstance(files, list) for path in files]
    for setting in (*_LOCKED_SETTINGS, f"SET allowed_paths = {_listed(paths)}"):
        connection.execute(setting)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    for name, files in tables.items():
        source = _source(connection, name, files)
        columns = "*"
        if name in EVENT_TABLES:
            columns += _hidden(affect.get(name, ()))
            source += f" where list_contains(purposes, '{purpose}')"
        connection.execute(f'create view "{name}" as select {columns} from {source}')  # noqa: S608
    connection.execute(_VIEWS)
    return connection


def tables_of(query: str) -> set[str]:
    """Tables that a question can need: those it mentions, and those of views it mentions."""
    said = query.lower()
    named = {name for name in SCHEMAS if name in said}
    return named | {t for view, tables in _TABLES_OF_VIEWS.items() if view in said for t in tables}


def ask(
    connection: Connection, query: str, *, params: Sequence[Any] | Mapping[str, Any] | None
) -> pa.Table:
    """Run one SELECT and return its rows.

    Raises:
        ConfigError: Not one SELECT, a table function that opens files, or DuckDB's refusal.
    """
    try:
        _check_select(connection, query)
        return connection.sql(query, params=params).to_arrow_table()
    except _REFUSALS as error:
        raise _refused(query, _refusal(error)) from error
    except duckdb.Error as error:
        # Its message may quote a value of the rows.
        raise _refused(query, f"DuckDB could not run it ({type(error).__name__})") from error


def to_json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: times ISO 8601, decimals numbers, NaN and infinity null."""
    return [_plain(row) for row in table.to_pylist(maps_as_pydicts="lossy")]


def _add_user_key(connection: Connection, secret: bytes) -> None:
    def keyed(tenant: str, user_id: str) -> str:
        return user_key(secret, tenant, user_id)

    text = duckdb.sqltype("VARCHAR")
    connection.create_function("tenant_user_key", keyed, [text, text], text)
    connection.execute(
        "create macro user_key(user_id) as tenant_user_key('default', user_id), "
        "(tenant, user_id) as tenant_user_key(tenant, user_id)"
    )


def _source(connection: Connection, name: str, files: Files) -> str:
    # Never to_pyarrow_dataset(): scanning it through DuckDB hangs or crashes the process.
    if isinstance(files, list):
        return f"read_parquet({_listed(files)})"
    connection.from_arrow(files).create(f"_{name}")
    return f'"_{name}"'


def _hidden(columns: Sequence[str]) -> str:
    if not columns:
        return ""
    allowed = "list_contains(purposes, 'infer_affect')"
    cases = ", ".join(f'case when {allowed} then "{name}" end as "{name}"' for name in columns)
    return f" replace ({cases})"


def _check_select(connection: Connection, query: str) -> None:
    statements = connection.extract_statements(query)
    if [s.type for s in statements] != [duckdb.StatementType.SELECT]:
        raise _refused(query, _ONE_SELECT)
    tree = json.loads(connection.execute("select json_serialize_sql(?)", [query]).fetchall()[0][0])
    for node in _nodes(tree):
        kind = str(node.get("type"))
        if kind.endswith("_QUERY_NODE"):  # a write inside a WITH
            raise _refused(query, _ONE_SELECT)
        if kind == "TABLE_FUNCTION":
            function = node["function"]["function_name"].lower()
            if function not in _TABLE_FUNCTIONS:
                raise _refused(query, f"{function}() is not allowed: name a table")
        # A file in place of a table would come without its purposes.
        if kind == "BASE_TABLE" and set("./") & set(node["table_name"]):
            raise _refused(query, "files cannot be read: name a table")


def _refusal(error: duckdb.Error) -> str:
    """DuckDB's reason with its hint, up to where it shows the query, and what could be named."""
    lines = str(error).partition("LINE ")[0].split("\n")
    told = " ".join(line.strip() for line in lines if line.strip())
    names = ", ".join(sorted({*SCHEMAS, *_TABLES_OF_VIEWS}))
    return f"{told} Tables and views: {names}" if "Table with name" in told else told


def _refused(query: str, remedy: str) -> ConfigError:
    return ConfigError("query", textwrap.shorten(query, 60), remedy)


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _listed(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value) if value % 1 else int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)
