"""What commands print: a hostile summary must not drive the terminal, and scripts must be able to rely on
JSON, one-line errors and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scrapy.cmdline import execute
from scrapy.settings import Settings

from pyf_scrapy.commands.output import (
    ExitCode,
    clean,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.exceptions import AlreadyRunningError, PyfError, UsageProblem

ROOT = Path(__file__).parents[2]

SAMPLE = """\
from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_text
from pyf_scrapy.exceptions import SearchError, UsageProblem


class Command(PyfCommand):
    arguments = (1, 2)
    takes_profile = True
    takes_collection = True

    def syntax(self):
        return "WORD [WORD]"

    def short_desc(self):
        return "Say words"

    def execute(self, args, opts):
        match args[0]:
            case "usage":
                raise UsageProblem("that is \\x1b[31mwrong\\nreally")
            case "search":
                raise SearchError("Typesense is down")
            case "interrupt":
                raise KeyboardInterrupt
            case "collection":
                print_text(self.selected_collection(opts))
            case "profiles":
                print_text(" ".join(profile.key for profile in self.selected_profiles(opts)))
            case "many":
                for number in range(100_000):
                    print_text(f"line {number}")
            case _ if opts.json:
                print_json({"args": args})
            case _:
                print_text(" | ".join(args))
        return ExitCode.SOME_FAILED if args[-1] == "some" else ExitCode.OK
"""

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Run:
    """Run `scrapy say ...` by Scrapy's own entry point; returns the exit code."""
    package = f"sample_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "say.py").write_text(SAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(ROOT)

    def run_command(*args: str, **project: object) -> int:
        settings = Settings({"COMMANDS_MODULE": package, **project})
        with pytest.raises(SystemExit) as ended:
            execute(["scrapy", "say", *args], settings)
        code = ended.value.code
        assert isinstance(code, int)
        return code

    return run_command


class TestClean:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("plain", "plain"),
            ("a\x1b[31mb\x1b[0mc", "abc"),
            ("a\x9b31mb", "ab"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x07", "link"),
            ("\x1b]0;title\x07x\x9dtitle\x9cy", "xy"),
            ("unfinished \x1b]0;text stays", "unfinished ]0;text stays"),
            ("\x1bP$q\x1b\\x", "x"),
            ("\x1b(Bx\x1bc", "x"),
            ("a\x00b\x08c\x7fd\x85e", "abcd e"),
            ("two\r\nlines\tand   blanks ", "two lines and blanks"),
            ("\u202egnp.exe\u202c \u2066x\u2069\u200e", "gnp.exe x"),
            ("a\u2028b\u2029c", "a b c"),
            ("\ud800", "\ufffd"),
            ("hidden\U000e0041\ufeff", "hidden"),
            ("Zażółć 日本 \U0001f468\u200d\U0001f469", "Zażółć 日本 \U0001f468\u200d\U0001f469"),
            ("\x1b\x1b[0m[31mred", "[31mred"),
            (5, "5"),
        ],
    )
    def test_nothing_reaches_the_terminal_but_text(self, text: object, expected: str) -> None:
        assert clean(text) == expected

    def test_lines_can_stay(self) -> None:
        assert clean("a\x1b[1m\n\n\tb \x07\r\n  c", lines=True) == "a\n\n        b\n  c"

    @given(st.text(alphabet=st.characters() | st.sampled_from("\x1b[]P\\m0;\x9b\x9d\x07\u202e\ud800\n")))
    @hypothesis_settings(max_examples=300)
    def test_every_text(self, text: str) -> None:
        for cleaned in (clean(text), clean(text, lines=True).replace("\n", "")):
            assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in cleaned)
            assert not set(cleaned) & set(
                "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
            )
            cleaned.encode()

    @pytest.mark.parametrize("unit", ["\x1b]", "\x9d", "\x1b[0", "\x9b;", "\x1bP\x9d", "\u202e"])
    def test_time_is_linear(self, unit: str) -> None:
        """A README of escapes must not hang `scrapy show`: quadratic would be minutes here."""
        clean(unit * 300_000)


class TestPrinting:
    def test_json_is_one_ascii_object_with_the_values_intact(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Kind(Enum):
            A = "a"

        @dataclass
        class Record:
            name: str
            day: date

        class Struct(msgspec.Struct):
            tags: tuple[str, ...]

        hostile = "\x1b[31m\x7f\x9b\u202e\u2028ü\n"
        value = {
            "b": hostile,
            "a": Record("x", date(2026, 1, 2)),
            "s": Struct(("t",)),
            "k": Kind.A,
            "p": Path("x"),
        }
        print_json(value)
        printed = capsys.readouterr().out
        assert printed.isascii()
        assert printed.replace("\n", "").isprintable()
        loaded = json.loads(printed)
        assert list(loaded) == ["b", "a", "s", "k", "p"]
        assert loaded["b"] == hostile
        assert loaded["a"] == {"name": "x", "day": "2026-01-02"}
        assert (loaded["s"], loaded["k"], loaded["p"]) == ({"tags": ["t"]}, "a", "x")

    def test_a_table_for_people(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("COLUMNS", raising=False)
        print_table(
            ("name", "stars", "ok"),
            [("[bold]x[/bold]\x1b[31m", 1234567, True), (":smile:", None, False)],
            title="Found",
        )
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "Found"
        assert lines[1].split() == ["name", "stars", "ok"]
        assert lines[3].split() == ["[bold]x[/bold]", "1,234,567", "yes"]
        assert lines[4].split() == [":smile:", "no"]
        assert "\x1b" not in "".join(lines)

    def test_a_table_fits(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        print_table(("name", "summary"), [("n" * 30, "word " * 40)])
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 60
        assert sum(line.count("word") for line in lines) == 40, "nothing is cut off"

    def test_no_rows_say_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_table(("a",), [], empty="no packages")
        assert capsys.readouterr().out == "no packages\n"

    def test_a_summary(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_summary({"projects": 12345, "reason": "done\x1b[0m"}, title="Summary")
        assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
            ["Summary"],
            ["projects", "12,345"],
            ["reason", "done"],
        ]


def python(script: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        check=True,
        timeout=60,
    )


IN_TERMINAL = """
    import os, pty, sys
    def child():
        from pyf_scrapy.commands.output import print_table
        print_table(("name", "n"), [("plone", 1)])
    pid, fd = pty.fork()
    if pid == 0:
        child()
        os._exit(0)
    out = b""
    while True:
        try:
            part = os.read(fd, 1000)
        except OSError:
            break
        if not part:
            break
        out += part
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(out)
"""


class TestTerminal:
    def test_colour_only_where_it_is_wanted(self) -> None:
        """NO_COLOR (no-color.org) and dumb terminals get plain text."""
        environ = {"TERM": "xterm", "NO_COLOR": ""}
        assert b"\x1b[" in python(IN_TERMINAL, **environ).stdout
        for off in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            plain = python(IN_TERMINAL, **{**environ, **off}).stdout
            assert b"plone" in plain
            assert b"\x1b" not in plain

    def test_a_terminal_that_knows_only_ascii_gets_question_marks(self) -> None:
        done = python(
            """
            from pyf_scrapy.commands.output import print_table
            print_table(("näme",), [("plöne",)])
            """,
            PYTHONIOENCODING="ascii",
        )
        assert done.stdout.split() == [b"n?me", b"pl?ne"]


class TestCommand:
    def test_arguments_arrive(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("a", "-p", "x", "b") == ExitCode.OK
        assert run("--", "-a", "--json") == ExitCode.OK
        assert run("a", "--json") == ExitCode.OK
        first, second, *rest = capsys.readouterr().out.splitlines()
        assert (first, second) == ("a | b", "-a | --json")
        assert json.loads("".join(rest)) == {"args": ["a"]}

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["a", "--nope"], "unknown option '--nope'; see scrapy say -h"),
            (["a", "-x"], "unknown option '-x'; see scrapy say -h"),
            (["a", "b", "c"], "unknown argument 'c'; see scrapy say -h"),
            (["\udcff"], "'\\udcff' is no text in UTF-8"),
            ([], "an argument is missing; use scrapy say WORD [WORD]"),
            (
                ["a", "--profile=plone"],
                "--profile is Scrapy's profiler; use -p plone (a crawl: -a profile=plone)",
            ),
            (
                ["a", "--profile", "plone"],
                "--profile is Scrapy's profiler; use -p plone (a crawl: -a profile=plone)",
            ),
            (
                ["a", "--prof=plone"],
                "--profile is Scrapy's profiler; use -p plone (a crawl: -a profile=plone)",
            ),
            (
                ["a", "--profile"],
                "--profile is Scrapy's profiler; use -p PROFILE (a crawl: -a profile=PROFILE)",
            ),
            (["a", "-p"], "argument -p: expected one argument"),
            (["a", "--json=x"], "argument --json: ignored explicit argument 'x'"),
            (["a", "-s", "nonsense"], "Invalid -s value, use -s NAME=VALUE"),
            (["usage"], "that is wrong really"),
            (["collection"], "which collection? use -p PROFILE or -c COLLECTION"),
            (["collection", "-c", "a", "-p", "plone"], "give -p PROFILE or -c COLLECTION, not both"),
            (
                ["collection", "-c", "../x"],
                "'../x' is not the name of a collection; letters, digits, - _ and . only",
            ),
            (["collection", "-p", "plone,flask"], "one profile at a time, not plone, flask"),
        ],
    )
    def test_bad_input_is_one_line_and_exit_code_2(
        self, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, args: list[str], message: str
    ) -> None:
        before = set(ROOT.iterdir())
        assert run(*args) == ExitCode.USAGE
        printed = capsys.readouterr()
        assert printed.err == f"scrapy say: {message}\n"
        assert printed.out == ""
        assert set(ROOT.iterdir()) <= before, "no profiler dump is written"

    def test_unknown_profiles_are_bad_input(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("profiles", "-p", "plane") == ExitCode.USAGE
        assert run("profiles") == ExitCode.USAGE
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("scrapy say: unknown profile 'plane' (did you mean 'plone'?); known: plone, ")
        assert second.startswith(
            "scrapy say: which profile? use -p PROFILE or set DEFAULT_PROFILE; known: plone, "
        )

    def test_what_profile_and_collection_stand_for(
        self, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("profiles", "-p", "plone,flask")
        run("profiles", DEFAULT_PROFILE="django")
        run("collection", "-p", "plone", TYPESENSE_COLLECTION="other", DEFAULT_PROFILE="flask")
        run("collection", "-c", "stack", TYPESENSE_COLLECTION="other")
        run("collection", TYPESENSE_COLLECTION="other", DEFAULT_PROFILE="flask")
        run("collection", DEFAULT_PROFILE="flask")
        assert capsys.readouterr().out.splitlines() == [
            "plone flask",
            "django",
            "plone",
            "stack",
            "other",
            "flask",
        ]

    def test_exit_codes_say_how_it_ended(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("search") == ExitCode.FAILED
        assert run("a", "some") == ExitCode.SOME_FAILED
        assert run("interrupt") == 130
        assert capsys.readouterr().err == "scrapy say: Typesense is down\nscrapy say: interrupted\n"

    def test_the_codes_of_errors_and_of_commands_agree(self) -> None:
        assert PyfError.exit_code == ExitCode.FAILED
        assert UsageProblem.exit_code == ExitCode.USAGE
        assert AlreadyRunningError.exit_code == ExitCode.ALREADY_RUNNING

    def test_help_names_the_options(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("-h") == ExitCode.OK
        printed = capsys.readouterr().out
        assert "scrapy say WORD [WORD]" in printed
        assert "-p PROFILE" in printed
        assert "--profile" not in printed


STARTED = """
    import sys
    sys.path.insert(0, {folder!r})
    from scrapy.cmdline import execute
    from scrapy.settings import Settings
    execute(["scrapy", "say", "many"], Settings({{"COMMANDS_MODULE": {package!r}}}))
"""


class TestPipe:
    @pytest.fixture
    def script(self, run: Run, tmp_path: Path) -> str:
        package = next(tmp_path.glob("sample_*")).name
        return textwrap.dedent(STARTED).format(folder=str(tmp_path), package=package)

    def test_head_ends_it_quietly(self, script: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        with process.stderr as stderr:
            assert stderr.read() == b""
        assert process.wait(timeout=60) == ExitCode.OK

    def test_a_full_disk_is_one_line(self, script: str) -> None:
        full = Path("/dev/full")
        if not full.exists():
            pytest.skip("this system has no /dev/full")
        with full.open("w") as stream:
            done = subprocess.run(
                [sys.executable, "-c", script], cwd=ROOT, stdout=stream, stderr=subprocess.PIPE, timeout=60
            )
        assert done.stderr.startswith(b"scrapy say: the output cannot be written: ")
        assert done.returncode == ExitCode.FAILED


def test_text_without_anything_is_an_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_text()
    assert capsys.readouterr().out == "\n"
