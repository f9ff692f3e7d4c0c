"""Questions to a lake of a million turns, beside bare DuckDB on the same Parquet files.

    python -m tests.bench.sql --rounds 3 --turns 1000000

Both open a connection, define the same views and answer one question. What ours does besides is
what is measured: it reads the Delta logs, leaves out rows that do not allow the purpose, hides
affect where that is not allowed, and locks the connection to these files.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

import duckdb
import polars as pl
from deltalake import DeltaTable

from rapport.lake import Lake
from rapport.lake.views import _VIEWS
from rapport.schema import schema_of
from rapport.simulation import SimulatedLog, simulate
from tests.bench.pairs import in_turn

QUESTIONS = {
    "length of messages by role": "select role, count(*), avg(length(text)) from turns group by 1",
    "turns of conversations": "select agent_id, count(*), avg(turns) from conversations group by 1",
    "reward by arm": "select arm, count(*), avg(reward) from decision_outcomes group by 1",
}
TABLES = ("turns", "decisions", "feedback", "rewards")
USERS = 1500


def main() -> None:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        rows = _filled(lake, arguments.turns)
        files = {name: DeltaTable(f"{folder}/{name}").file_uris() for name in TABLES}
        asked = [
            _asked(what, query, lake, files, arguments.rounds) for what, query in QUESTIONS.items()
        ]
    versions = {name: version(name) for name in ("duckdb", "deltalake", "polars")}
    sys.stdout.write(json.dumps({"versions": versions, "lake": rows, "rows": asked}) + "\n")


def _asked(
    what: str, query: str, lake: Lake, files: dict[str, list[str]], rounds: int
) -> dict[str, Any]:
    def ours() -> float:
        begun = time.perf_counter()
        lake.sql(query)
        return 1 / (time.perf_counter() - begun)

    def theirs() -> float:
        begun = time.perf_counter()
        _bare(query, files)
        return 1 / (time.perf_counter() - begun)

    first, second = lake.sql(query).num_rows, len(_bare(query, files))
    assert first == second, (what, first, second)
    return in_turn(what, ours, theirs, rounds=rounds, unit="questions")


def _bare(query: str, files: dict[str, list[str]]) -> list[Any]:
    with duckdb.connect() as connection:
        for name, paths in files.items():
            listed = ", ".join(f"'{path}'" for path in paths)
            connection.execute(f"create view {name} as from read_parquet([{listed}])")
        connection.execute(_VIEWS)
        return connection.execute(query).fetchall()


def _filled(lake: Lake, turns: int) -> dict[str, int]:
    """Append one simulated log again and again, each time as other people's."""
    log = simulate(users=USERS, seed=3)
    copies = -(-turns // log.turns.height)
    for copy in range(copies):
        for name in TABLES:
            table = _rewards(log) if name == "rewards" else getattr(log, name)
            columns = [c for c in table.columns if c.endswith("_id") and c not in _SHARED]
            other = table.with_columns(pl.col(columns) + f"-{copy}")
            lake.append(name, other.to_arrow().cast(schema_of(name)), writer="bench")
    return {name: lake.rows(name) for name in TABLES}


_SHARED = ("agent_id", "journey_id", "task_id", "release_id", "policy_id", "encoder_id")


def _rewards(log: SimulatedLog) -> pl.DataFrame:
    empty = pl.DataFrame(schema_of("rewards").empty_table())
    return log.decisions.with_columns(
        reward_version=pl.lit(1, dtype=pl.Int32),
        value=pl.col("propensity") - 0.5,
        channels=pl.lit([], dtype=empty.schema["channels"]),
        as_of=pl.col("ts"),
    ).select(empty.columns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sql")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=1_000_000)
    return parser


if __name__ == "__main__":
    main()
