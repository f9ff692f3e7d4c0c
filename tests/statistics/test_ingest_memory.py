"""Memory of an ingest is that of a batch, not of the log: 50,000 and 200,000 messages."""

import json
import os
import subprocess
import sys

import pytest

from tests.statistics.report import say
from tests.unit.ingest.exports import a_chat

pytestmark = pytest.mark.slow
SMALL, LARGE = 50_000, 200_000
CHUNK = 10_000


def peak_of(path, home):
    """Peak resident memory, in MiB, of one `ingest_logs` job."""
    sets = [f"paths={json.dumps([str(path)])}", "format=openai-jsonl", f"chunk_rows={CHUNK}"]
    command = [sys.executable, "-m", "rapport_jobs.ingest_logs", "--json", "--home", str(home)]
    command += [word for pair in sets for word in ("--set", pair)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1]), used.ru_maxrss / 1024


def test_four_times_the_messages_take_the_memory_of_one_batch(tmp_path):
    peaks = {}
    for messages in (SMALL, LARGE):
        path = tmp_path / f"{messages}.jsonl"
        with path.open("w") as file:
            for n in range(messages // 4):
                chat = a_chat(n)
                file.write(json.dumps({**chat, "messages": chat["messages"][1:]}) + "\n")
        counts, peaks[messages] = peak_of(path, tmp_path / f"home-{messages}")
        assert counts["tables"]["turns"]["kept"] == messages
        rate = messages / counts["seconds"]
        say(f"{messages:,} messages: {peaks[messages]:.0f} MiB peak, {rate:,.0f} messages/s")
    # The look-up of known rows may grow; the rows themselves may not.
    assert peaks[LARGE] < 1.5 * peaks[SMALL]
