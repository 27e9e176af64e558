"""What a run can say, read from the code: the templates of its log lines, errors, failures and last lines.

`…` stands for what differs from run to run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pyf_scrapy.exceptions
from pyf_scrapy.exceptions import ParseError, PyfError, UsageProblem

PACKAGE = Path(pyf_scrapy.exceptions.__file__).parent

#: Parts whose lines and errors are those of a command, not of a run.
WITHOUT_RUN = {
    "commands",
    "command.py",
    "demo.py",
    "lookup.py",
    "rebuild",
    "replica",
    "schedule",
    "status",
    "takeover",
    "verify",
    "web",
}
#: Modules of other parts that no run uses.
OF_COMMANDS = {"queue/waiting.py", "search/keys.py", "search/queries.py"}

#: Classes whose text is a message of a run. UsageProblem is told before it, ParseError has a row of its own.
ERRORS = {
    name
    for name, cls in vars(pyf_scrapy.exceptions).items()
    if isinstance(cls, type) and issubclass(cls, PyfError) and not issubclass(cls, UsageProblem | ParseError)
} | {"OtherStoreError", "UnstorableError"}


def messages() -> dict[str, str]:
    """Template -> a place in the code that says it; those of nothing but what differs are left out."""
    found = dict(_kinds())
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text())):
            for argument in _said(node, place):
                for text in _templates(argument):
                    if re.search(r"[a-z]{2}", text):
                        found.setdefault(text, f"{place}:{argument.lineno}")
    return found


def _kinds() -> Iterator[tuple[str, str]]:
    """The ParseErrors: the kind of document, which is a constant of its parser, and the reason."""
    for path in sorted((PACKAGE / "parsers").glob("*.py")):
        text = path.read_text()
        used = set(re.findall(r"\b(?:ParseError|parsing)\((_[A-Z]+)\b", text))
        for node in ast.parse(text).body:
            if (
                isinstance(node, ast.AnnAssign)
                and ast.unparse(node.target) in used
                and node.value is not None
            ):
                for kind in _templates(node.value):
                    yield f"{kind}: …", f"{path.relative_to(PACKAGE)}:{node.lineno}"


def every_text() -> set[str]:
    """All texts in the code, as templates."""
    return {
        text
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for text in _templates(node)
    }


def _said(node: ast.AST, place: Path) -> Iterator[ast.expr]:
    """The expressions of a node that are texts of messages."""
    in_run = place.parts[0] not in WITHOUT_RUN and place.as_posix() not in OF_COMMANDS
    if isinstance(node, ast.FunctionDef) and node.name == "headline":
        returns = (inner for inner in ast.walk(node) if isinstance(inner, ast.Return))
        yield from (inner.value for inner in returns if inner.value is not None)
    if isinstance(node, ast.Dict) and place.name == "logformatter.py":
        pairs = zip(node.keys, node.values, strict=True)
        yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "msg")
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if name == "complain" and place.name == "crawl.py":
        yield from node.args[1:]
    if not in_run:
        return
    if owner == "logger":
        yield node.args[name == "log"]
    elif name in {"say", "_say", "_news", "on"} or (owner == "problems" and name == "append"):
        yield from node.args[:1]
    elif name == "fail" and owner.endswith("session"):
        yield from node.args[2:]
    elif name in ERRORS:
        yield from node.args[:1]


def _templates(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can have."""
    if isinstance(node, ast.IfExp):
        yield from _templates(node.body)
        yield from _templates(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _short(re.sub(r"%(\(\w+\))?[-+0-9.]*[sdfgr]", "…", node.value))
    elif isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        yield _short("".join(map(str, parts)))


def _short(text: str) -> str:
    return re.sub("…+", "…", " ".join(text.split()))
