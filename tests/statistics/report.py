"""Numbers that a statistical test measured, for people; shown by `pytest -s`."""

import sys


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
