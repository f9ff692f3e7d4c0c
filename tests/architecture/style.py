"""Size and habit of the tree, measured with ast and tokenize.

python -m tests.architecture.style    # today's value of every budget
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import median, quantiles

from rapport import errors

ROOT = Path(__file__).parents[2]
SOURCES = [
    p for room in ("platform/rapport", "jobs", "serve") for p in sorted((ROOT / room).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
FOREIGN_RAISES_ALLOWED = {"KeyError", "StopIteration", "StopAsyncIteration", "SystemExit", "Exit"}
_LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Budget:
    """What a point of style allows, and what the tree has."""

    name: str
    value: float
    low: float = 0.0
    high: float = float("inf")

    @property
    def kept(self) -> bool:
        """Whether the value lies within the bounds."""
        return self.low <= self.value <= self.high


def budgets() -> list[Budget]:
    """Every budget with today's value."""
    modules = [lines_of(path) for path in SOURCES if path.name != "__init__.py"]
    tests = [lines_of(path) for path in TESTS if path.name != "__init__.py"]
    lengths = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions()]
    code, comments, docs = line_kinds()
    return [
        Budget("module lines, median", median(modules), 80, 180),
        Budget("module lines, p95", p95(modules), high=350),
        Budget("module lines, most", max(modules), high=500),
        Budget("function lines, median", median(lengths), high=12),
        Budget("function lines, p95", p95(lengths), high=45),
        Budget("comment lines a line of code", comments / code, 0.01, 0.10),
        Budget("docstring lines a line of code", docs / code, 0.20, 0.45),
        Budget("share of arguments by keyword only", keyword_share(), low=0.30),
        Budget("share of raises that are our own", own_raises(), low=0.60),
        Budget("asserts a thousand lines of code", 1000 * asserts() / code, high=1.0),
        Budget("lines of tests a line of source", sum(tests) / sum(modules), 0.5, 1.6),
        Budget("test file lines, median", median(tests), high=120),
        Budget("test file lines, p95", p95(tests), high=400),
        Budget("job file lines, most", max(map(lines_of, job_files())), high=80),
        Budget("files named vaguely", sum(p.stem in VAGUE for p in SOURCES + TESTS), high=0),
    ]


def job_files() -> list[Path]:
    """Files of jobs."""
    return sorted((ROOT / "jobs").glob("[a-z]*.py"))


def lines_of(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def all_nodes() -> Iterator[ast.AST]:
    """Every node of the source."""
    return chain.from_iterable(map(nodes, SOURCES))


@cache
def functions() -> tuple[Function, ...]:
    """Every function and method of the source."""
    return tuple(node for node in all_nodes() if isinstance(node, Function))


def p95(values: Sequence[int]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20)[-1]


def line_kinds() -> tuple[int, int, int]:
    """Lines of code, of comments and of docstrings in the source."""
    code = comments = docs = 0
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        doc = _docstring_lines(path)
        coded: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments += 1
            elif token.type not in _LAYOUT:
                coded |= set(range(token.start[0], token.end[0] + 1))
        code += len(coded - doc)
        docs += len(doc)
    return code, comments, docs


def _docstring_lines(path: Path) -> set[int]:
    found: set[int] = set()
    for node in nodes(path):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def keyword_share() -> float:
    """Share of arguments that can only be given by name; the first one's order is obvious."""
    keyword = total = 0
    for function in functions():
        if function.name.startswith("__") and function.name != "__init__":
            continue
        placed = [a.arg for a in function.args.posonlyargs + function.args.args]
        named = [name for name in placed if name not in ("self", "cls")]
        keyword += len(function.args.kwonlyargs)
        total += len(named[1:]) + len(function.args.kwonlyargs)
    return keyword / total


def own_raises() -> float:
    """Share of raises that use an error of `rapport.errors`."""
    ours = set(vars(errors))
    raised = [
        node.exc.func
        for node in all_nodes()
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    names = [f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in raised]
    counted = [name in ours for name in names if name in ours or name not in FOREIGN_RAISES_ALLOWED]
    return sum(counted) / max(len(counted), 1)


def asserts() -> int:
    """Asserts in the source."""
    return sum(isinstance(node, ast.Assert) for node in all_nodes())


def broad_excepts() -> set[str]:
    """Files of the source that catch every exception."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
    }


if __name__ == "__main__":
    for one in budgets():
        bounds = f"{one.low:g} to {one.high:g}"
        sys.stdout.write(
            f"{one.name:36} {one.value:8.3g}   {bounds:14} {'' if one.kept else '!'}\n"
        )
    sys.stdout.write(f"broad excepts: {', '.join(sorted(broad_excepts()))}\n")
