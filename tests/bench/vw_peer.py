"""Vowpal Wabbit's answers, in an environment of its own.

    python3.11 -m venv vw && vw/bin/pip install vowpalwabbit==9.11.9 numpy
    vw/bin/python tests/bench/vw_peer.py turns FOLDER
    vw/bin/python tests/bench/vw_peer.py learn FOLDER

`turns` answers each line of its input, `text N` or `parsed N`, with the seconds each of N
predictions took, for the candidates in the folder. `learn` reads a log from it, learns by every
entry of `grid.json` and writes `probabilities.npy` [G, N, M] of the `test_` decisions.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from vowpalwabbit import LabelType, Workspace

PARTS = ("state", "crossing", "shares", "mask")
"""Of every decision: [N, S] all that is shared, [N, C] what of it is crossed with the candidates,
[N, M, A] what each candidate is and [N, M] whether it is one."""


def turns(folder):
    given = {name: np.load(folder / f"{name}.npy") for name in PARTS}
    workspace = Workspace("--cb_explore_adf --epsilon 0.1 --cb_type mtr --quiet")
    taught = "0:-1.0:0.03 "
    text = lines_of(given, 0)
    workspace.learn([taught + line if place == 1 else line for place, line in enumerate(text)])
    parsed = workspace.parse(text, labelType=LabelType.CONTEXTUAL_BANDIT)
    predictions = {
        "text": lambda: workspace.predict(text),
        "parsed": lambda: workspace.predict(parsed),
    }
    for line in sys.stdin:
        what, count = line.split()
        took = []
        for _ in range(int(count)):
            begun = time.perf_counter()
            predictions[what]()
            took.append(time.perf_counter() - begun)
        print(json.dumps(took), flush=True)


def learn(folder):
    grid = json.loads((folder / "grid.json").read_text())
    train, test = (read(folder, prefix) for prefix in ("train_", "test_"))
    asked = [lines_of(test, row) for row in range(len(test["mask"]))]
    given = [labelled(train, row) for row in range(len(train["mask"]))]
    found = np.zeros((len(grid), *test["mask"].shape))
    for place, entry in enumerate(grid):
        workspace = Workspace(f"--cb_explore_adf --quiet {entry['arguments']}")
        for _ in range(entry["passes"]):
            for lines in given:
                workspace.learn(lines)
        for row, lines in enumerate(asked):
            found[place, row, test["mask"][row]] = workspace.predict(lines)
        workspace.finish()
    np.save(folder / "probabilities.npy", found)


def read(folder, prefix):
    return {path.stem.removeprefix(prefix): np.load(path) for path in folder.glob(f"{prefix}*.npy")}


def lines_of(log, row):
    """A decision as text; `-q ca` makes of it the columns that `feature_matrix` lays out."""
    shared = f"shared |s {numbers(log['state'][row])} |c {numbers(log['crossing'][row])}"
    shares = log["shares"][row][log["mask"][row]]
    return [shared, *(f"|a {numbers(each)}" for each in shares)]


def labelled(log, row):
    lines = lines_of(log, row)
    place = 1 + int(log["mask"][row][: log["action"][row]].sum())
    label = f"0:{-log['reward'][row]:.6g}:{log['propensity'][row]:.6g}"  # costs, not rewards
    return [f"{label} {line}" if i == place else line for i, line in enumerate(lines)]


def numbers(values):
    return " ".join(f"{i}:{values[i]:.6g}" for i in np.flatnonzero(values))


def main():
    parser = argparse.ArgumentParser(prog="vw_peer.py")
    parser.add_argument("what", choices=("turns", "learn"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    {"turns": turns, "learn": learn}[arguments.what](arguments.folder)


if __name__ == "__main__":
    main()
