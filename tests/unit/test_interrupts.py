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
