import signal
import subprocess
import sys
import time

import pytest

WAITING = """
import sys, polars
from rapport.runner import sigterm_unwinds
with sigterm_unwinds():
    try:
        print("waits", flush=True)
        sys.stdin.read()
    finally:
        print("cleans up", flush=True)
"""


SLOW = """
import os, signal, sys, time
from rapport.errors import StoppedError
from rapport.runner import sigterm_unwinds, tell
try:
    with sigterm_unwinds():
        try:
            print("waits", flush=True)
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
except SystemExit:
    sys.exit(tell(StoppedError(signal.SIGTERM), who="x", as_json=True))
"""


def test_a_second_signal_and_a_reader_that_is_gone_disturb_no_end():
    command = [sys.executable, "-c", SLOW]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "waits\n"
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_is_stopped_at_once_and_cleans_up(number):
    command = [sys.executable, "-c", WAITING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        time.sleep(0.5)  # until it reads
        process.send_signal(number)
        process.wait(20)  # it would wait for ever
        assert process.stdout.read() == "cleans up\n"
