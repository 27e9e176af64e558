"""Runs what takes minutes: every test module with tests marked `soak` is a part (`make soak`).

`python -m tests.soak [PART ...]` prints for each part its command, seed and one result line; PART is a part's
name or a piece of it. A test tells its result by printing a line that begins with "soak: ". The seed is
PYF_SEED; tests read it with `seed()`.
"""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TextIO

SEED: Final = 20261122
WIDTH: Final = 100  # columns
_HEARTBEAT: Final = 30.0  # seconds
_TAIL: Final = 60  # lines of a failed part
_COLLECTING: Final = 300  # seconds
_CLEANING: Final = 60  # seconds

_CHECKOUT: Final = Path(__file__).parents[1]
_RESULT: Final = re.compile(r"[.FEsxX]*soak: (.*)")  # pytest's dots end no line
_NODE: Final = re.compile(r"^(tests/\S+\.py)::", re.MULTILINE)


def seed(environ: Mapping[str, str] = os.environ) -> int:
    """The seed of soak tests: PYF_SEED, else a fixed one. Raises ValueError when it is no whole number."""
    return int(environ.get("PYF_SEED") or SEED)


@dataclass(frozen=True)
class Part:
    """A test module with soak tests."""

    path: str  # relative to the checkout
    tests: int

    @property
    def name(self) -> str:
        """ "spiders/kill" of tests/spiders/test_kill.py."""
        return self.path.removeprefix("tests/").removesuffix(".py").replace("test_", "", 1)

    @property
    def command(self) -> list[str]:
        """What runs it; -s lets its lines through while it runs."""
        return [sys.executable, "-m", "pytest", "-m", "soak", "-q", "-s", self.path]


@dataclass(frozen=True)
class Outcome:
    """How a part ended: "ok", "skipped" or "FAILED"."""

    part: Part
    state: str
    seconds: float
    result: str


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are named, or all. 0 all passed, 1 one failed, 2 bad input."""
    try:
        chosen_seed = seed()
    except ValueError:
        return _refuse(f"PYF_SEED={os.environ['PYF_SEED']!r} must be a whole number")
    parts, broken = _discover()
    chosen = [part for part in parts if not arguments or any(word in part.name for word in arguments)]
    strange = [word for word in arguments if not any(word in part.name for part in parts)]
    if strange or not chosen:
        known = ", ".join(part.name for part in parts)
        return _refuse(f"no part is called {', '.join(strange) or 'anything'}; known: {known or 'none'}")
    _say(
        f"{len(chosen)} of {len(parts)} parts, seed {chosen_seed}: {', '.join(part.name for part in chosen)}"
    )
    logs = Path(tempfile.mkdtemp(prefix="pyf-soak-"))
    outcomes = []
    for number, part in enumerate(chosen, start=1):
        print()
        _say(f"[{number}/{len(chosen)}] {part.name}, seed {chosen_seed}, {part.tests} test(s)")
        outcomes.append(_run(part, chosen_seed, logs / f"{part.name.replace('/', '-')}.log"))
    print()
    _summarise(outcomes, chosen_seed)
    failed = any(outcome.state == "FAILED" for outcome in outcomes)
    if not failed:
        shutil.rmtree(logs)
    if broken:
        _say("and some tests could not be collected; see above")
    return int(failed or broken)


def _discover() -> tuple[list[Part], bool]:
    """The parts in the order of their files, and whether a test module is broken (then pytest's words)."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "soak", "-q", "tests"]
    done = subprocess.run(
        command, cwd=_CHECKOUT, capture_output=True, text=True, timeout=_COLLECTING, check=False
    )
    broken = done.returncode not in (0, 5)  # 5: nothing is marked
    if broken:
        print(*(done.stdout + done.stderr).splitlines()[-_TAIL:], sep="\n")
        _say("some tests cannot be collected; the parts that were found:")
    paths = _NODE.findall(done.stdout)
    return [Part(path, paths.count(path)) for path in sorted(set(paths))], broken


def _run(part: Part, chosen_seed: int, log: Path) -> Outcome:
    environ = {**os.environ, "PYF_SEED": str(chosen_seed), "PYTHONUNBUFFERED": "1"}
    print(_typed(part.command, environ), flush=True)
    start = time.monotonic()
    # pytest deletes all but the last three folders of a user: a part outlives three other runs of tests.
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, log.open("w", encoding="utf-8") as kept:
        code, lines = _watch(part.command, {**environ, "PYTEST_DEBUG_TEMPROOT": folder}, kept, start)
    seconds = time.monotonic() - start
    told = [match[1] for line in lines if (match := _RESULT.match(line))]
    last = next((line.strip("= ") for line in reversed(lines) if line.strip()), "no output")
    result = "; ".join(told) or last
    passed = code == 0
    state = "FAILED" if not passed else "ok" if "passed" in last else "skipped"
    if not passed:
        print(*(f"    | {line}" for line in lines[-_TAIL:]), sep="\n")
        _say(f"all {len(lines)} lines: {log}")
        result = f"{last} (exit code {code}){'; ' if told else ''}{'; '.join(told)}"
    _say(f"{state} after {_duration(seconds)}: {result}")
    return Outcome(part, state, seconds, result)


def _watch(
    command: Sequence[str], environ: Mapping[str, str], kept: TextIO, start: float
) -> tuple[int, list[str]]:
    """Run it to its end. Returns exit code and output; every so often says that it lives."""
    lines: list[str] = []
    arrived: queue.Queue[str | None] = queue.Queue()
    process = subprocess.Popen(
        command,
        cwd=_CHECKOUT,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C reaches it by us, and not twice
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    reader = threading.Thread(target=_pass_on, args=(process.stdout, arrived), daemon=True)
    reader.start()
    told = start
    try:
        while True:
            try:
                line = arrived.get(timeout=1)
            except queue.Empty:
                line = ""
            else:
                if line is None:
                    break
                kept.write(line)
                kept.flush()
                lines.append(line.rstrip("\n"))
            if time.monotonic() - told >= _HEARTBEAT:
                told = time.monotonic()
                newest = next((text.strip() for text in reversed(lines) if text.strip()), "")
                print(_cut(f"    ... {_duration(told - start)}  {newest}"), flush=True)
        return process.wait(), lines
    finally:
        if process.poll() is None:  # we are being ended: so is pytest, once, which then cleans up
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_CLEANING)
            except subprocess.TimeoutExpired:
                process.kill()


def _pass_on(stream: TextIO, arrived: queue.Queue[str | None]) -> None:
    for line in stream:
        arrived.put(line)
    arrived.put(None)


def _summarise(outcomes: Iterable[Outcome], chosen_seed: int) -> None:
    outcomes = list(outcomes)
    width = max(len(outcome.part.name) for outcome in outcomes)
    for outcome in outcomes:
        line = (
            f"{outcome.state:7} {outcome.part.name:{width}} {_duration(outcome.seconds):>8}  {outcome.result}"
        )
        print(_cut(line))
    failed = sum(outcome.state == "FAILED" for outcome in outcomes)
    took = _duration(sum(outcome.seconds for outcome in outcomes))
    _say(f"{len(outcomes)} parts, {failed} failed, seed {chosen_seed}, {took}")


def _typed(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """The command as one would type it, with the variables that decide what it does."""
    variables = [
        f"{name}={shlex.quote(environ[name])}"
        for name in sorted(environ)
        if name.startswith("PYF_") and environ[name]
    ]
    python = Path(command[0])
    if python.is_relative_to(_CHECKOUT):
        python = python.relative_to(_CHECKOUT)
    words = " ".join(["$", *variables, shlex.join([str(python), *command[1:]])])
    return " \\\n    ".join(textwrap.wrap(words, WIDTH - 6, break_on_hyphens=False, break_long_words=False))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _cut(line: str) -> str:
    line = _printable(line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _say(text: str) -> None:
    """A line of our own; one that is too long goes on indented."""
    print(
        textwrap.fill(_printable(text), WIDTH, subsequent_indent="    ", break_on_hyphens=False), flush=True
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def _ended(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ended)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
