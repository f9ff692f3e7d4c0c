"""Turns simulated a second, beside writing just those rows to Parquet with pyarrow.

    python -m tests.bench.simulator --rounds 5 --users 500

No other program simulates these users; writing is the least that any source of rows costs.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rapport.simulation import simulate
from tests.bench.pairs import in_turn

TABLES = ("turns", "decisions", "feedback", "users")


def main() -> None:
    arguments = _parser().parse_args()
    made = simulate(users=arguments.users, seed=3)
    tables: list[pa.Table] = [getattr(made, name).to_arrow() for name in TABLES]
    turns = made.turns.height

    def ours() -> float:
        begun = time.perf_counter()
        simulate(users=arguments.users, seed=3)
        return turns / (time.perf_counter() - begun)

    def theirs() -> float:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            for name, table in zip(TABLES, tables, strict=True):
                pq.write_table(table, Path(folder) / f"{name}.parquet", compression="zstd")
            return turns / (time.perf_counter() - begun)

    row = in_turn(
        f"{arguments.users} users of 20 turns", ours, theirs, rounds=arguments.rounds, unit="turns"
    )
    versions = {name: version(name) for name in ("numpy", "polars", "pyarrow")}
    told = {"versions": versions, "turns": turns, "decisions": made.decisions.height, "rows": [row]}
    sys.stdout.write(json.dumps(told) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simulator")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=500)
    return parser


if __name__ == "__main__":
    main()
