"""The demo as a newcomer has it: from a wheel, outside the checkout, stopped and begun again."""

import json
import os
import signal
import subprocess
import time
import uuid

import psutil
import pytest

from rapport.cli.demo_serving import DECISIONS
from tests.e2e.conftest import SMALL
from tests.e2e.installed import installed
from tests.statistics.report import say

MARK = "RAPPORT_TEST_DEMO"
DEADLINE_S = 900
END_S = 90
"""For every process of a demo that was stopped to be gone; the graph drains first."""
STOPS = (
    ("ingest_logs", 1.0, signal.SIGINT),
    ("embed_users", 2.0, signal.SIGKILL),
    ("train_scorers", 15.0, signal.SIGINT),
    ("promote_release", 8.0, signal.SIGKILL),
    ("serve until ready", 6.0, signal.SIGKILL),
    ("conversations", 3.0, signal.SIGINT),
    ("relay_outbox", 4.0, signal.SIGTERM),
)
"""After which stage, how much later, and how the demo is stopped."""


class Demo:
    """A home in which small demos run."""

    def __init__(self, programs, folder, language_model):
        self.programs, self.folder, self.mark = programs, folder, uuid.uuid4().hex
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        small = {**SMALL, "RAPPORT_LANGUAGE_MODEL": language_model}
        self.environment = {**environment, **small, MARK: self.mark, "PYTHONUNBUFFERED": "1"}

    def run(self, stop=None):
        """Lines that a demo prints; it is stopped as told, else runs to its end."""
        with subprocess.Popen(
            [self.programs / "rapport", "demo", "--users", "200", "--minutes", "5"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            lines, started = [], time.monotonic()
            for line in process.stdout or ():
                lines.append(line)
                assert time.monotonic() - started < DEADLINE_S, "".join(lines)
                if stop and line[:1] in "✓=" and line[2:26].strip() == stop[0]:
                    time.sleep(stop[1])
                    self.end(process, stop[2])
                    stop = None
            code = process.wait()
        return code, "".join(lines)

    def end(self, process, number):
        """Stop it as a terminal, a supervisor or the kernel would."""
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)

    def left(self):
        """Processes of this demo that still live a while after it was stopped."""
        deadline = time.monotonic() + END_S
        while (found := list(self._living())) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _living(self):
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == self.mark
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    yield " ".join(process.cmdline())[:80]
            except psutil.Error:
                continue

    def served(self):
        query = "select count(*) n, count(distinct decision_id) d from decisions"
        told = subprocess.run(
            [self.programs / "rapport", "sql", f"{query} where source = 'serve'", "--json"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        (row,) = json.loads(told.stdout)
        assert row["n"] == row["d"]
        return row["n"]


def reused(said):
    return sum(line.startswith("= ") for line in said.splitlines())


@pytest.mark.slow
def test_a_demo_from_a_wheel_goes_on_where_it_was_stopped(tmp_path, language_model):
    programs = installed(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    demo = Demo(programs, tmp_path / "elsewhere", language_model)
    worked = time.monotonic()
    for number, stop in enumerate(STOPS):
        code, said = demo.run(stop)
        assert code != 0, said
        assert demo.left() == []
        assert "Traceback" not in said, said
        if number:
            assert "goes on in" in said, said
            assert "= ingest_logs" in said, said
        if stop[2] != signal.SIGKILL:
            assert "the same command goes on there" in said
        say(f"stopped by {stop[2].name} after {stop[0]!r}: {reused(said)} steps reused")
    code, said = demo.run()
    assert code == 0, said
    assert "= conversations" in said
    worked = time.monotonic() - worked
    assert demo.served() >= DECISIONS
    page = tmp_path / "elsewhere/.rapport/report/report.html"
    assert "The gate" in page.read_text(encoding="utf-8")
    before, started = demo.served(), time.monotonic()
    code, said = demo.run()
    again = time.monotonic() - started
    assert code == 0, said
    assert demo.left() == []
    assert demo.served() == before
    assert again < worked / 3
    say(f"stopped {len(STOPS)} times: {worked:.0f} s; a second demo in the same home {again:.0f} s")
    say(next(line for line in said.splitlines() if "reused" in line and "Stages" in line))
