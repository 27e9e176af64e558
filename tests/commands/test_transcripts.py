"""What people read when they operate the index: the files of tests/transcripts.

Each is a session: `$ scrapy ...`, what was printed (standard error, too), and `[exit code]` unless it is 0.
What differs from run to run is replaced by a word in angle brackets. In between `> crawl SPIDER NAME=VALUE`
crawls and `> index of pyf.aggregator: NAME` makes one. To write them anew after a change:
PYF_WRITE_TRANSCRIPTS=1, then read what git shows.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.commands.world import run_in
from tests.conftest import kill_server
from tests.crawling import CHECKOUT, EmbeddedPlace, Place
from tests.takeover.test_takeover import downloads, old_index, refused_documents, stars

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
OPTIONS = Options(
    projects=60, members={"plone": 12, "django": 6}, only_members=True, most_releases=4, missing=0
)

#: What differs from run to run -> what stands for it.
CHANGING = (
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b"), "<minute>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d\b"), "<day>"),
    (re.compile(r"\b\d+(\.\d)? s\b"), "<time>"),
    (re.compile(r'("(?:seconds|[a-z_]+_at)": )[\d.]+'), r"\1<number>"),
    (re.compile(r"\d{8}T\d{6}Z"), "<moment>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<server>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<key>"),
    (re.compile(r'(prefix"?:? *"?)[\w-]{4}\b'), r"\1<key>"),
    (re.compile(r"(?<=  )[\w-]{4}\.\.\."), "<key>"),
)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.mark.parametrize("name", sorted(path.stem for path in TRANSCRIPTS.glob("*.txt")))
def test_a_session_reads_as_it_is_written_down(
    name: str,
    replica: Handle,
    empty_index: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PYF_ENV_FILE", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    # A short name: with pytest's the lines would be broken in another way on each machine.
    with tempfile.TemporaryDirectory(prefix="pyf-") as folder:
        place = Place(Path(folder) / "data", replica.url, empty_index)
        if name == "apikeys":  # the numbers of keys tell how many were made before
            place = EmbeddedPlace(place.folder, replica.url)
        path = TRANSCRIPTS / f"{name}.txt"
        lines = [line for line in path.read_text().splitlines() if line.startswith(("$ ", "> "))]
        try:
            printed = [line for typed in lines for line in _session(typed, place, capsys)]
        finally:
            if (place.folder / "typesense").exists():
                kill_server(place.folder / "typesense")
    text = "\n".join(printed).strip() + "\n"
    programs = Path(sys.executable).parent
    for path_, word in ((folder, "<folder>"), (programs, "<programs>"), (CHECKOUT, "<project>")):
        text = text.replace(str(path_), word)
    if os.environ.get("PYF_WRITE_TRANSCRIPTS"):
        path.write_text(text)
    assert text == path.read_text()


def _session(typed: str, place: Place, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """The line that is typed, and what it prints."""
    yield typed
    words = shlex.split(typed[2:])
    if typed.startswith("> "):
        if words[0] == "crawl":
            asyncio.run(place.crawl(words[1], **dict(word.split("=", 1) for word in words[2:])))  # type: ignore[arg-type]
        else:
            assert words[:3] == ["index", "of", "pyf.aggregator:"]
            old = [stars("plone.api"), downloads("plone-api"), stars("Products.Example")]
            old_index(place, [*old, *refused_documents()], words[3])
        return
    assert words[0] == "scrapy"
    capsys.readouterr()
    code = run_in(place, *words[1:])
    output, errors = capsys.readouterr()
    text = (output + errors).rstrip("\n")
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    yield from (line.rstrip() for line in text.split("\n"))
    if code:
        yield f"[{code}]"
    yield ""
