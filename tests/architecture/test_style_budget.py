"""Budgets of size and habit, measured on the tree with ast and tokenize."""

import ast
import io
import tokenize
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    p for room in ("platform/rapport", "jobs", "serve") for p in sorted((ROOT / room).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BROAD_EXCEPT_ALLOWED = {"serve/edge.py", "platform/rapport/runner.py"}
FOREIGN_RAISES_ALLOWED = {"KeyError", "StopIteration", "StopAsyncIteration", "SystemExit", "Exit"}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def trees(paths: list[Path]) -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def functions(paths: list[Path]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node for tree in trees(paths).values() for node in ast.walk(tree) if isinstance(node, kinds)
    ]


def p95(values: list[int]) -> float:
    return quantiles(values, n=20)[-1]


def code_comment_docstring_lines() -> tuple[int, int, int]:
    code = comments = docs = 0
    for path, tree in trees(SOURCES).items():
        text = path.read_text(encoding="utf-8")
        doc_lines: set[int] = set()
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                if (
                    isinstance(child, ast.Expr)
                    and isinstance(child.value, ast.Constant)
                    and isinstance(child.value.value, str)
                ):
                    doc_lines |= set(range(child.lineno, (child.end_lineno or child.lineno) + 1))
        code_lines: set[int] = set()
        comment_lines: set[int] = set()
        skip = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comment_lines.add(token.start[0])
            elif token.type not in skip:
                code_lines |= set(range(token.start[0], token.end[0] + 1))
        code += len(code_lines - doc_lines)
        comments += len(comment_lines)
        docs += len(doc_lines)
    return code, comments, docs


def test_modules_are_small():
    sizes = [lines_of(path) for path in SOURCES if path.name != "__init__.py"]
    assert median(sizes) <= 180
    assert p95(sizes) <= 350
    assert max(sizes) <= 500


def test_functions_are_short():
    sizes = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(SOURCES)]
    assert median(sizes) <= 12
    assert p95(sizes) <= 45


def test_comments_and_docstrings_are_in_proportion():
    code, comments, docs = code_comment_docstring_lines()
    assert comments / code <= 0.10
    assert 0.15 <= docs / code <= 0.45


def test_arguments_are_mostly_keyword_only():
    keyword = total = 0
    for function in functions(SOURCES):
        if function.name.startswith("__") and function.name != "__init__":
            continue
        named = [
            a.arg
            for a in function.args.posonlyargs + function.args.args
            if a.arg not in ("self", "cls")
        ]
        keyword += len(function.args.kwonlyargs)
        total += len(named[1:]) + len(
            function.args.kwonlyargs
        )  # the first argument's order is obvious
    assert keyword / total >= 0.30


def test_most_raises_are_our_own_errors():
    own = foreign = 0
    ours = set(vars(__import__("rapport.errors", fromlist=["errors"])))
    for tree in trees(SOURCES).values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = (
                    node.exc.func.attr
                    if isinstance(node.exc.func, ast.Attribute)
                    else getattr(node.exc.func, "id", "")
                )
                own, foreign = (
                    own + (name in ours),
                    foreign + (name not in ours | FOREIGN_RAISES_ALLOWED),
                )
    assert own / max(own + foreign, 1) >= 0.60


def test_broad_excepts_live_in_two_places():
    guilty = set()
    for path, tree in trees(SOURCES).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            ):
                guilty.add(path.relative_to(ROOT).as_posix())
    assert guilty <= BROAD_EXCEPT_ALLOWED


def test_asserts_are_for_invariants():
    count = sum(
        isinstance(node, ast.Assert) for tree in trees(SOURCES).values() for node in ast.walk(tree)
    )
    code = code_comment_docstring_lines()[0]
    assert count / code <= 0.003


def test_tests_are_in_proportion_to_the_source():
    ratio = sum(map(lines_of, TESTS)) / sum(map(lines_of, SOURCES))
    assert 0.5 <= ratio <= 1.6


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_job_is_a_header_a_config_and_one_call(path):
    text = path.read_text(encoding="utf-8")
    assert lines_of(path) <= 80
    assert f"python -m jobs.{path.stem}" in (ast.get_docstring(ast.parse(text)) or "")
