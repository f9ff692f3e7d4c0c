"""The README tells the truth: its commands run, its tree is the tree."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from subprocess import CompletedProcess

import pytest

from tests.e2e.conftest import README, ROOT, Circle, commands, python_blocks, shell_blocks


def test_the_two_set_up_lines_stand_in_the_readme_and_in_the_smoke_run():
    smoke = (ROOT / "tests/e2e/smoke.sh").read_text(encoding="utf-8")
    for line in ("pip install -e . && rapport demo", 'pip install -e ".[dev]" && poe check'):
        assert line in README
        assert line in smoke


def test_every_room_of_the_tree_exists_and_is_drawn():
    drawn = set(
        re.findall(r"^\s*(platform/rapport|jobs|serve|tests|[a-z_]+)/ ", README, flags=re.M)
    )
    rooms = {p.parent.name for p in (ROOT / "platform/rapport").glob("*/__init__.py")}
    assert rooms - {"menus"} <= drawn, rooms - drawn


def test_every_block_of_commands_is_run_by_a_test():
    """A new kind of block must find its test: these starts are all there are."""
    here = ["rapport simulate", "rapport ingest", "rapport run", "rapport erase", "rapport sql"]
    here += [
        "rapport report",
        "rapport card",
        "rapport doctor",
        "rapport evaluate",
        "rapport decide",
    ]
    others = ("rapport serve", "curl", "python -m jobs", "rapport demo --data")
    for block in shell_blocks(starting=""):
        (first, *_) = commands(block)
        assert first.startswith((*here, *others, "pip install")), block  # pip: `poe smoke`


def all_of(*starts: str) -> list[str]:
    return [block for start in starts for block in shell_blocks(starting=start)]


@pytest.mark.parametrize(
    "block",
    [
        *all_of("rapport sql", "rapport report", "rapport card", "rapport decide", "rapport erase"),
        *all_of("rapport evaluate changes"),
    ],
)
def test_what_is_asked_afterwards_is_answered(circle, block):
    for command in commands(block):
        ran = circle.shell(command)
        assert ran.returncode == 0, (command, ran.stderr)
        assert ran.stdout.strip(), command


@pytest.mark.parametrize("block", python_blocks())
def test_the_library_answers_where_ray_cannot_even_be_imported(circle, block):
    ran = run_python(circle, block, without=("ray",))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


@pytest.mark.parametrize("block", [b for b in python_blocks() if "rapport.evaluation" in b])
def test_a_policy_is_valued_with_numpy_alone(circle, block):
    heavy = ("ray", "torch", "scipy", "sklearn", "polars", "pyarrow", "pydantic", "duckdb")
    ran = run_python(circle, block, without=heavy)
    assert ran.returncode == 0, ran.stderr


def run_python(circle, block: str, *, without: tuple[str, ...]) -> CompletedProcess[str]:
    """Run a block where a newcomer would, without some packages."""
    barred = f"import sys\nsys.modules.update(dict.fromkeys({without!r}))\n"
    command = [sys.executable, "-c", barred + block]
    return subprocess.run(command, cwd=circle.folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("block", [b for b in all_of("rapport evaluate") if "../shared" in b])
def test_what_others_labelled_is_measured(block):
    if not (ROOT.parent / "shared/data").is_dir():
        pytest.skip("the data sets are not beside the checkout")
    ran = Circle(ROOT).shell(block)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", all_of("rapport doctor"))
def test_the_doctor_finds_a_machine_that_runs_these_tests_well_enough(circle, block):
    ran = circle.shell(block)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("block", all_of("rapport run"))
def test_jobs_that_are_done_say_so_and_others_are_run_again(circle, block):
    ran = circle.shell(block)
    assert ran.returncode == 0, ran.stderr
    again = circle.shell("rapport run embed_users")
    assert again.returncode == 0, again.stderr
    assert "unchanged" in again.stdout


@pytest.mark.parametrize("block", all_of("rapport ingest"))
def test_a_foreign_log_comes_in_by_its_mapping(circle, tmp_path, block):
    said = [{"from": "human", "content": "I feel low."}, {"from": "bot", "content": "What is it?"}]
    lines = [json.dumps({"account": f"u{i}", "messages": said}) for i in range(3)]
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats/one.jsonl").write_text("\n".join([*lines, '{"broken": ']) + "\n")
    (mapping,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "map.yaml").write_text(mapping)
    ran = replace(circle, folder=tmp_path).shell(block)
    assert ran.returncode == 0, ran.stderr
    assert "is not JSON" in ran.stdout


@pytest.mark.parametrize("block", all_of("python -m jobs"))
def test_a_smoke_run_needs_nothing_but_itself(circle, block):
    ran = replace(circle, folder=ROOT).shell(block)
    assert ran.returncode == 0, ran.stderr


def test_serve_and_curl_hold_a_conversation(circle):
    (serve,), (curl,) = shell_blocks(starting="rapport serve"), shell_blocks(starting="curl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = serve.split("#")[0].replace("8000", port).split()[1:]
    with subprocess.Popen(
        [sys.executable, "-m", "rapport.cli", *command, "--json"],
        cwd=circle.folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            ran = circle.shell(curl.replace("8000", port), KEY=ready["key"])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    with socket.socket() as probe:  # nobody is left to listen
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["choices"][0]["message"]["content"]
    assert answer["rapport"]["decision_id"]


@pytest.mark.slow
@pytest.mark.parametrize("block", shell_blocks(starting="rapport demo --data"))
def test_the_demo_accounts_for_every_dialogue_of_esconv(tmp_path, block):
    data = ROOT.parent / "shared/data/esconv"
    if not data.is_dir():
        pytest.skip(f"no {data}")
    started = time.monotonic()
    command = [sys.executable, "-m", "rapport.cli", "demo", "--data", str(data), "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    counts = json.loads(ran.stdout.splitlines()[-1])["ingest_logs"]["tables"]
    for kind, read in (("dialogues", 1040), ("failed dialogues", 158)):
        assert counts[kind]["read"] == read, counts
    sys.stdout.write(f"\nESConv demo: {time.monotonic() - started:.0f} s\n")
