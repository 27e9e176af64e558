"""Names in a requirements file (https://pip.pypa.io/en/stable/reference/requirements-file-format/)."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name

from pyf_scrapy.exceptions import UsageProblem

_LARGEST = 5 * 1024 * 1024
_MOST_LINES = 20_000  # each costs some 15 us
_DEEPEST = 10
_COMMENT = re.compile(r"(^|\s)#.*$")
_NAMELESS = re.compile(r"[a-z+]+://|\.{0,2}/|(-e|--editable)\b")
_PER_REQUIREMENT_OPTION = re.compile(r"\s--?[a-z-]+[= ].*$")


def requirement_names(path: Path, passed_over: list[str] | None = None) -> tuple[str, ...]:
    """Normalized names in the order of the file, each once, files included with `-r` too.

    Options, constraints (`-c`), editable and direct-address lines without a name are passed over: they
    name nothing on PyPI. `passed_over` gets those that install something all the same ("FILE, line N: ...").
    Raises UsageProblem with file and line for what cannot be read.
    """
    names: dict[str, None] = {}
    _read(path, names, [] if passed_over is None else passed_over, ())
    if not names:
        raise UsageProblem(f"{path} names no package")
    return tuple(names)


def _read(path: Path, names: dict[str, None], passed_over: list[str], parents: tuple[Path, ...]) -> None:
    try:
        resolved = path.resolve()
    except (RuntimeError, ValueError):  # a loop of links; a NUL in what follows -r
        raise UsageProblem(f"cannot read {str(path)!r}: it is no usable path") from None
    if resolved in parents or len(parents) >= _DEEPEST:
        raise UsageProblem(f"{path} includes itself, or files {_DEEPEST} deep")
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageProblem(f"{path} is larger than {_LARGEST} bytes: is it a requirements file?")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageProblem(f"cannot read {path}: {reason}") from None
    lines = _logical_lines(text)
    if len(lines) > _MOST_LINES:
        raise UsageProblem(f"{path} has more than {_MOST_LINES:,} lines: is it a requirements file?")
    for number, line in lines:
        if line.startswith(("-r ", "--requirement ", "--requirement=", "-r=")):
            included = re.split(r"[ =]+", line, maxsplit=1)[1].strip()
            _read(path.parent / included, names, passed_over, (*parents, resolved))
        elif _NAMELESS.match(line):
            passed_over.append(f"{path}, line {number}: {line[:80]}")
        elif line and not line.startswith("-"):
            try:
                requirement = Requirement(_PER_REQUIREMENT_OPTION.sub("", line))
                # It lets names pass that end with "_" or ".".
                name = canonicalize_name(requirement.name, validate=True)
            except (InvalidRequirement, InvalidName) as error:
                reason = str(error).splitlines()[0]
                raise UsageProblem(
                    f"{path}, line {number}: {line[:80]!r} is no requirement: {reason}"
                ) from None
            names[name] = None


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(line number, text) without comments, with continued lines joined."""
    lines: list[tuple[int, str]] = []
    joined, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).rstrip()
        first = first or number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        lines.append((first, (joined + line).strip()))
        joined, first = "", 0
    if joined.strip():
        lines.append((first, joined.strip()))
    return lines
