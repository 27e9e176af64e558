"""How commands print: tables for people, one JSON object for scripts, one line for an error.

Everything printed is cleaned first: summaries, names and READMEs come from strangers. The base class of
the commands is in `pyf_scrapy.command`: Scrapy would take it for a command here.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, TextIO

import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pyf_scrapy.exceptions import PyfError, UsageProblem

MIN_WIDTH = 40
WIDTH_WITHOUT_TERMINAL = 120
_KEPT_WHOLE = 28  # characters; longer cells of a first column are wrapped like others

# CSI sequences, and strings (OSC, DCS, SOS, PM, APC) up to their end, in 7 and 8 bit form: ECMA-48.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_JOINERS = "\u200c\u200d"  # format characters that scripts and emoji need
_BLANKS = re.compile(r"\s+")
_NOT_ASCII = re.compile("[^\n -~]+")


class ExitCode(IntEnum):
    """What a command says to the shell. The codes of errors stand at their classes (`exit_code`)."""

    OK = 0
    FAILED = 1  # a source or service failed, or documents were rejected
    USAGE = 2
    SOME_FAILED = 3  # done, but some packages failed
    ALREADY_RUNNING = 75


class OutputClosed(Exception):  # noqa: N818  (not an error: `| head` has seen enough)
    """Raised by the printing functions when nobody reads standard output any more."""


def clean(text: object, *, lines: bool = False) -> str:
    """`text` fit for a terminal: no ANSI escapes, control characters, bidi overrides or lone surrogates.

    White space becomes single blanks; with `lines` line ends and indentation stay (tabs as 8 blanks).
    """
    raw = _ESCAPES.sub("", str(text))
    if lines:
        return "\n".join(_printable(line.expandtabs()).rstrip() for line in raw.splitlines())
    return _printable(_BLANKS.sub(" ", raw)).strip()


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(map(_shown, line))


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if category in ("Cc", "Zl", "Zp") or (category == "Cf" and character not in _JOINERS):
        return ""
    return character


def print_text(text: object = "", *, lines: bool = True) -> None:
    """Print cleaned text. Raises OutputClosed, PyfError when it cannot be written (as all functions here)."""
    _write(clean(text, lines=lines) + "\n", sys.stdout)


def print_json(value: Any) -> None:
    """Print one JSON object: ASCII only, so that no terminal can be addressed by it, keys in the given order.

    Takes what msgspec takes (structs, dataclasses, dates, sets, enums), and anything else as its text.
    """
    plain = msgspec.to_builtins(value, enc_hook=str, str_keys=True)
    text = json.dumps(plain, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    _write(text + "\n", sys.stdout)


def print_json_line(line: bytes) -> None:
    """Print one line of JSON as `print_json` does: what is not ASCII is escaped."""
    _write(_NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], line.decode()), sys.stdout)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", empty: str = "nothing"
) -> None:
    """Print a table that fits the terminal: long cells are wrapped, numbers stand right, None is blank.

    The first column is wrapped only when the others leave no other way: it names what a row is about.
    Without rows `empty` is printed instead.
    """
    filled = list(rows)
    if title:
        print_text(title)
    if not filled:
        print_text(empty)
        return
    ruled = _is_unicode(sys.stdout)
    table = Table(
        box=box.SIMPLE_HEAD if ruled else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1 if ruled else 2, 0, 0),  # the box adds a blank of its own
    )
    for position, column in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | None) for row in filled)
        table.add_column(
            Text(clean(column)),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=position == 0 and all(len(_cell(row[0])) <= _KEPT_WHOLE for row in filled),
        )
    for row in filled:
        table.add_row(*(Text(_cell(value)) for value in row))
    _render(table)


def print_summary(pairs: Mapping[str, object], *, title: str = "") -> None:
    """Print names and values in two columns."""
    if title:
        print_text(title)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        grid.add_row(Text(clean(name)), Text(_cell(value)))
    _render(grid)


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether the user wants it: `yes` says so, else a terminal is asked; what is not y means no.

    Raises UsageProblem where nobody can be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageProblem(f"{clean(question)} There is nobody to ask: give --yes")
    _write(f"{clean(question)} (y/N) ", sys.stderr)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def complain(command: str, message: object) -> None:
    """Print the one line of an error, `scrapy COMMAND: message`, to standard error."""
    _write(f"scrapy {command}: {clean(message)}\n", sys.stderr)


def reported(command: str, action: Callable[[], int]) -> int:
    """Do `action` and return its exit code; an error of the project is one line and its own exit code.

    A reader that went away (`| head`) ends quietly with OK, Ctrl-C with 130 as the shell expects.
    """
    try:
        code = action()
        _write("", sys.stdout)
    except PyfError as error:
        complain(command, error)
        return error.exit_code
    except OutputClosed:
        return ExitCode.OK
    except KeyboardInterrupt:
        complain(command, "interrupted")
        return 128 + signal.SIGINT
    return code


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    return clean(value, lines=True)


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().startswith("utf")


def _render(table: RenderableType) -> None:
    """Rendered to a string first: rich would end the program by itself when the reader is gone."""
    terminal = sys.stdout.isatty()
    coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    rendered = io.StringIO()
    console = Console(
        file=rendered,
        width=output_width(),
        force_terminal=coloured,
        color_system="standard" if coloured else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(table)
    _write("".join(f"{line.rstrip()}\n" for line in rendered.getvalue().splitlines()), sys.stdout)


def output_width() -> int:
    """Columns of the terminal; without one those of COLUMNS, else WIDTH_WITHOUT_TERMINAL."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns
    else:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() and 0 < len(columns) < 5 else WIDTH_WITHOUT_TERMINAL
    return max(width, MIN_WIDTH)


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except OSError as error:
        # What is left in the buffer must not fail again at exit: the recipe of Python's note on SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise OutputClosed from None
        raise PyfError(f"the output cannot be written: {error.strerror}") from None
