"""Every command of the tree: an example that parses, help for all it takes, JSON where asked."""

import json
import re
import shlex
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rapport.cli.app import app

ROOT = get_command(app)
EXAMPLE = re.compile(r"Examples?: (rapport .+)")
SPEAKS_NO_JSON = {"rapport"}


def tree(command, path):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from tree(inner, f"{path} {name}")


GROUPS = [(path, node) for path, node in tree(ROOT, "rapport") if hasattr(node, "commands")]
LEAVES = [(path, node) for path, node in tree(ROOT, "rapport") if not hasattr(node, "commands")]


def by_path(nodes):
    return pytest.mark.parametrize(("path", "node"), nodes, ids=[path for path, _ in nodes])


def parsed(words):
    """Path of the command that words name, its arguments parsed as they would be."""
    node: Any = ROOT
    path = words[0]
    context = node.make_context(words[0], list(words[1:]))
    while hasattr(node, "commands"):
        rest = [*context._protected_args, *context.args]
        name, node, rest = node.resolve_command(context, rest)
        path = f"{path} {name}"
        context = node.make_context(name, rest, parent=context)
    return path


@by_path(LEAVES)
def test_a_commands_example_is_one_of_that_command(path, node):
    found = EXAMPLE.findall(node.epilog or "")
    assert found, f"{path} has no example"
    assert [parsed(shlex.split(example)) for example in found] == [path] * len(found)


@by_path(GROUPS)
def test_a_groups_example_is_one_of_its_commands(path, node):
    (example,) = EXAMPLE.findall(node.epilog or "")
    assert parsed(shlex.split(example)).startswith(f"{path} ")


@by_path(GROUPS + LEAVES)
def test_everything_a_command_takes_is_explained(path, node):
    assert node.help
    silent = [one.name for one in node.params if not getattr(one, "help", None)]
    assert silent == []


@by_path(LEAVES)
def test_every_command_speaks_json_where_asked(path, node):
    assert "--json" in [option for one in node.params for option in one.opts]


@by_path(LEAVES)
def test_wrong_use_with_json_is_one_error_object(path, node):
    ran = CliRunner().invoke(app, [*path.split()[1:], "--no-such-flag", "--json"])
    assert ran.exit_code == 2
    error = json.loads(ran.stdout)["error"]
    assert error["code"] == "usage"
    assert error["message"].endswith("--help")
    assert ran.stderr == ""


def test_help_tells_the_exit_codes():
    told = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    for code in ("0 done", "1 the work failed", "2 wrong use", "3 the gate said no", "130"):
        assert code in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_a_shell(shell):
    ran = CliRunner().invoke(app, ["--show-completion", shell], prog_name="rapport")
    assert ran.exit_code == 0
    assert "_RAPPORT_COMPLETE" in ran.stdout


def test_completion_names_commands_and_options():
    def completed(words):
        asked = {"_RAPPORT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        return CliRunner().invoke(app, [], prog_name="rapport", env=asked).stdout.split()

    assert completed("rapport release ver") == ["verify"]
    assert "--force" in completed("rapport run --f")


def test_installed_completion_lies_where_the_shell_looks(tmp_path):
    ran = CliRunner().invoke(
        app, ["--install-completion", "bash"], prog_name="rapport", env={"HOME": str(tmp_path)}
    )
    assert ran.exit_code == 0
    assert "bash_completions/rapport.sh" in (tmp_path / ".bashrc").read_text()


def test_a_misspelt_option_is_told_with_the_one_that_was_meant():
    ran = CliRunner().invoke(app, ["run", "--forse"], prog_name="rapport")
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
    assert "--force" in ran.stderr
