"""How well it is proven that a repository is a package's own: anybody may claim any repository.

Evidence against the claim's being enough: between 4 and 7 % of packages point at a repository of someone else
(MalwareBench; arXiv 2512.24400), and its stars would be theirs.
"""

from __future__ import annotations

import ast
import configparser
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from packaging.utils import InvalidName, canonicalize_name

from pyf_scrapy.metadata.repository_urls import Repository
from pyf_scrapy.parsers.records import RepositoryRecord

_MAX_FILE = 100_000  # characters
_MAX_SETUP_PY = 50_000  # characters: the parser's time grows with the square of f-strings' length
_MAX_NAME = 200  # characters of a package's name
_MAX_DOTS = 100  # in a line of TOML: the parser's time grows with the square of the parts of a dotted key
_MAX_LINE = 300  # characters of a line of setup.cfg: the parser's time grows with the square of blanks


class Proof(StrEnum):
    """What proves that a repository is the package's own, strongest first."""

    ATTESTED = "attested"  # PyPI verified that the release's files were published from it (PEP 740)
    NAMED = "named"  # the repository itself names the package
    CLAIMED = "claimed"  # only the package says so


def proof(
    normalized_name: str, repository: Repository, record: RepositoryRecord | None, publisher: str | None
) -> Proof:
    """Return what proves that `repository`, which a package links to, is the package's own.

    `normalized_name` is the package's name (PEP 503), `record` what GitHub says about the repository, None
    if it was not asked, `publisher` the "owner/name" of the GitHub publisher in the attestation of the
    release's files, None without one. After a rename both names of the repository count.
    """
    if not repository.is_github:
        return Proof.CLAIMED  # record and publisher are GitHub's
    names = {f"{repository.owner}/{repository.name}".lower()}
    if record is not None:
        names.add(f"{record.owner}/{record.name}".lower())
    if publisher is not None and publisher.strip().lower() in names:
        return Proof.ATTESTED
    # A fork names the package because the files it copied do: anyone can make one and claim it.
    if record is None or record.fork or record.parent:
        return Proof.CLAIMED
    if normalized_name in {str(canonicalize_name(name)) for name in record.packages or ()}:
        return Proof.NAMED
    return Proof.NAMED if _package_of_page(record.homepage or "") == normalized_name else Proof.CLAIMED


def declared_packages(files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the normalized names of the packages that project files declare, each once.

    `files` maps paths to texts; read are files called pyproject.toml (`project`, poetry's and flit's tables),
    setup.cfg and setup.py (the literal `name=` of a call of `setup`; nothing is executed). What cannot be
    read, or is longer than 100,000 characters (setup.py: 50,000), declares nothing. Never raises.
    """
    names: dict[str, None] = {}
    for path, text in files.items():
        read = _READERS.get(path.rpartition("/")[2])
        if read is None or len(text) > _MAX_FILE:
            continue
        try:
            found = list(read(text))
        except (ValueError, SyntaxError, configparser.Error, RecursionError, MemoryError):
            continue  # tomllib raises ValueError; the parser of Python MemoryError where nesting is too deep
        names.update(dict.fromkeys(name for value in found if (name := _normalized(value))))
    return tuple(names)


def _package_of_page(url: str) -> str | None:
    """The normalized name of the package whose page on PyPI an address is."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    path = [part for part in parts.path.split("/") if part]
    if host != "pypi.org" or len(path) < 2 or path[0] not in {"project", "p", "pypi"}:
        return None
    return canonicalize_name(path[1])


def _normalized(name: object) -> str | None:
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        return None
    try:
        return canonicalize_name(name.strip(), validate=True)
    except InvalidName:
        return None


def _in_pyproject(text: str) -> Iterator[object]:
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        return
    document = tomllib.loads(text)
    yield _at(document, "project", "name")
    yield _at(document, "tool", "poetry", "name")
    # flit publishes the module under its name unless `dist-name` gives another.
    flit = ("tool", "flit", "metadata")
    yield _at(document, *flit, "dist-name") or _at(document, *flit, "module")


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _in_setup_cfg(text: str) -> Iterator[object]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string("\n".join(line[:_MAX_LINE] for line in text.splitlines()))
    yield parser.get("metadata", "name", fallback=None)


def _in_setup_py(text: str) -> Iterator[object]:
    if len(text) > _MAX_SETUP_PY:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how the file is written; not ours to mend
        tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_setup(node.func):
            for argument in node.keywords:
                if argument.arg == "name" and isinstance(argument.value, ast.Constant):
                    yield argument.value.value


def _is_setup(function: ast.expr) -> bool:
    """`setup`, or `setuptools.setup` and the like."""
    if isinstance(function, ast.Attribute):
        return function.attr == "setup"
    return isinstance(function, ast.Name) and function.id == "setup"


_READERS: Final[dict[str, Callable[[str], Iterator[object]]]] = {
    "pyproject.toml": _in_pyproject,
    "setup.cfg": _in_setup_cfg,
    "setup.py": _in_setup_py,
}
