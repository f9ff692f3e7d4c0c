"""Budgets of size and habit; `python -m tests.architecture.style` prints today's values."""

import ast

import pytest

from tests.architecture.style import broad_excepts, budgets, job_files

BROAD_EXCEPT_ALLOWED = {"serve/edge.py", "platform/rapport/runner.py"}


@pytest.mark.parametrize("budget", budgets(), ids=lambda budget: budget.name)
def test_a_budget_is_kept(budget):
    assert budget.low <= budget.value <= budget.high


def test_broad_excepts_live_in_two_places():
    assert broad_excepts() <= BROAD_EXCEPT_ALLOWED


@pytest.mark.parametrize("path", job_files(), ids=lambda path: path.stem)
def test_a_job_says_its_own_command_line(path):
    header = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert f"python -m jobs.{path.stem}" in header
