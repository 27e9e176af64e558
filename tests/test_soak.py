"""Every part of `make soak` tells its result: a line that does not begin with "soak: " is none, and its
figures are lost."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARK = "pytest.mark.soak"


def soak_tests() -> list[tuple[str, str]]:
    """File and name of each test that is marked `soak`."""
    marked = [path for path in sorted(TESTS.rglob("test_*.py")) if MARK in path.read_text()]
    return [
        (path.relative_to(TESTS).as_posix(), node.name)
        for path in marked
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(mark) == MARK for mark in node.decorator_list)
    ]


@pytest.mark.parametrize(("file", "name"), soak_tests())
def test_a_soak_test_tells_its_result(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text())
    (test,) = (node for node in ast.walk(tree) if getattr(node, "name", None) == name)
    printed = [
        _beginning(call.args[0])
        for call in ast.walk(test)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "print" and call.args
    ]
    assert any(text.lstrip("\n").startswith("soak: ") for text in printed), printed


def _beginning(printed: ast.expr) -> str:
    """The text that a literal or an f-string begins with."""
    first = printed.values[0] if isinstance(printed, ast.JoinedStr) else printed
    return str(first.value) if isinstance(first, ast.Constant) else ""
