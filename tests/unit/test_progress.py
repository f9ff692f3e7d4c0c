"""Bars are for a terminal alone; the real ones are drawn on a pseudo-terminal."""

import os
import pty
import subprocess
import sys

SCRIPT = """
import sys, time
from rapport.progress import progress, working
with working("train_policy", 100):
    time.sleep(0.3)
    with progress("embedding turns", 400) as advance:
        for _ in range(4):
            time.sleep(0.15)
            advance(100)
    with progress("ingesting rows", None) as advance:
        advance(5000)
        time.sleep(0.3)
    time.sleep(0.2)
sys.stdout.write("the end")
"""


def drawn():
    """What a terminal of 100 columns gets of it on stderr."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=env) as process:
        os.close(theirs)
        got = b""
        while True:
            try:
                got += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        printed = process.communicate(timeout=60)[0]
    os.close(ours)
    assert process.returncode == 0
    return got.decode(), printed


def test_a_terminal_sees_units_rate_and_time_left_and_one_bar_at_a_time():
    got, printed = drawn()
    assert printed == b"the end"
    assert "of about 100 s" in got
    assert "400/400" in got
    assert "/s" in got
    assert "5,000" in got
    outer, bar, open_, again = (
        got.index("train_policy"), got.index("embedding turns"), got.index("ingesting rows"),
        got.rindex("train_policy"),
    )  # fmt: skip
    assert outer < bar < open_ < again
    assert got.endswith("\x1b[?25h") or got.rstrip().endswith("\x1b[2K")  # nothing stays


def test_elsewhere_nothing_is_drawn():
    command = [sys.executable, "-c", SCRIPT]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == (b"the end", b"")
