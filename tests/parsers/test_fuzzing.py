"""Damaged documents by the thousand: one that crashes a reader would end a crawl for everybody else.

`make test` reads the same 2,000 each time; `make soak` as many as PYF_FUZZ_SECONDS (60) allow, made
from the seed PYF_SEED and, where they are at hand, PyPI's recorded answers.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import pyf_scrapy.parsers
from tests.parsers import fuzzing
from tests.parsers.fuzzing import Fuzzing, minimal, own_corpus, recorded_corpus, try_input
from tests.parsers.mutations import mutate
from tests.parsers.promises import READERS, Reader
from tests.soak import SEED, seed

#: Not readers of documents: what the readers are made of.
_SHARED = {"records", "wire"}


def test_many_inputs_break_no_reader() -> None:
    fuzz = Fuzzing(SEED, own_corpus())
    fuzz.run(inputs=2000)
    assert not fuzz.findings
    # If mutations destroyed every document, or none, this would test nothing.
    for reader in READERS:
        assert fuzz.accepted[reader.name] >= 5, reader.name
        assert fuzz.refused[reader.name] >= 5, reader.name


@pytest.mark.soak
def test_no_input_of_a_long_run_breaks_a_reader(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    try:
        corpus = recorded_corpus(request.getfixturevalue("real_data"))
    except pytest.skip.Exception:
        corpus = own_corpus()
    fuzz = Fuzzing(seed(), corpus)
    with capsys.disabled():
        fuzz.run(seconds=float(os.environ.get("PYF_FUZZ_SECONDS") or 60))
        print(*fuzz.table(), sep="\n")
        print(f"soak: {fuzz.summary()}", flush=True)
    assert not fuzz.findings


@pytest.mark.parametrize(
    ("reader", "body"),
    [
        ("requirements file", b"-r \0"),
        ("requirements file", b"t_"),
        ("requirements file", b"k\n" * 400_000),
        ("feed", b"<rss <channel <item <guid><pubDate></guid>"),
        ("project JSON", rb'{"info":{"name":"a","version":"1"},"releases":{"":{"\u0000":[{}]}}}'),
        ("profiles file", rb'"\UFFFFFFFF'),
        ("profiles file", b"%YAML " + b"9" * 4301 + b".1\n"),
    ],
)
def test_what_was_found_stays_mended(reader: str, body: bytes, tmp_path: Path) -> None:
    """Inputs of former findings, as small as they got."""
    (named,) = (known for known in READERS if known.name == reader)
    finding, _, _ = try_input(named, body, tmp_path)
    assert finding is None, finding.text


def test_every_parser_is_fuzzed() -> None:
    fuzzed = {function for reader in READERS for function in reader.functions}
    for info in pkgutil.iter_modules(pyf_scrapy.parsers.__path__):
        module = importlib.import_module(f"pyf_scrapy.parsers.{info.name}")
        public = {
            item
            for name, item in vars(module).items()
            if not name.startswith("_") and inspect.isroutine(item) and item.__module__ == module.__name__
        }
        if info.name not in _SHARED:
            assert public <= fuzzed, module.__name__
            assert any(function.__module__ == module.__name__ for function in fuzzed), module.__name__


class TestTheFuzzer:
    """A fuzzer that finds nothing proves nothing unless it finds what is there."""

    def test_the_same_number_makes_the_same_input(self) -> None:
        first, second = Fuzzing(SEED, own_corpus()), Fuzzing(SEED, own_corpus())
        assert [first.make(number) for number in range(50)] == [second.make(number) for number in range(50)]
        assert Fuzzing(SEED + 1, own_corpus()).make(7) != first.make(7)

    def test_a_crash_is_kept_and_can_be_read_again(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def read(body: bytes, _: Path) -> bool:
            if b"last-serial" in body and b"}" in body:
                raise KeyError("x")
            return False

        reader = Reader("fragile", "simple_index", (), read)
        fuzz = Fuzzing(SEED, own_corpus(), (reader,), tmp_path)
        fuzz.run(inputs=50)
        told = capsys.readouterr().out
        assert len(fuzz.findings) == 1, "one fault is one finding, however often it shows"
        kept, smallest = sorted(tmp_path.iterdir())
        assert len(smallest.read_bytes()) == len(b"last-serial}")
        assert f"seed {SEED}, input {kept.name.partition('-')[2]}, fragile: KeyError: 'x'" in told
        assert str(kept) in told
        assert fuzzing.main(["fragile", str(kept)], [reader]) == 1
        (tmp_path / "fine").write_bytes(b"{}")
        assert fuzzing.main(["fragile", str(tmp_path / "fine")], [reader]) == 0
        assert fuzzing.main(["unknown", str(kept)], [reader]) == 2

    def test_an_endless_reader_is_stopped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(body: bytes, _: Path) -> bool:
            while True:
                try:
                    time.process_time()
                except Exception:  # noqa: S112  what swallows everything must not swallow this
                    continue

        monkeypatch.setattr(fuzzing, "MAX_SECONDS", 0.1)
        finding, _, _ = try_input(Reader("endless", "env", (), read), b"", tmp_path)
        assert finding is not None
        assert "took more than 0.1 s" in finding.what

    def test_a_connection_is_a_finding_even_when_its_failure_is_swallowed(self, tmp_path: Path) -> None:
        def read(body: bytes, _: Path) -> bool:
            with suppress(OSError):
                socket.create_connection(("localhost", 9))
            return True

        before = socket.getaddrinfo, socket.socket.connect
        finding, _, _ = try_input(Reader("chatty", "env", (), read), b"", tmp_path)
        assert finding is not None
        assert "opened a connection" in finding.what
        assert (socket.getaddrinfo, socket.socket.connect) == before

    def test_a_memory_bomb_is_a_finding(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fuzzing, "MAX_GROWTH", 30_000_000)

        def read(body: bytes, _: Path) -> bool:
            # More than what the process had at most so far, whatever that was.
            return bool(bytearray(fuzzing.most_memory() + 50_000_000))

        if not fuzzing.most_memory():
            pytest.skip("memory is judged on Linux only")
        finding, _, _ = try_input(Reader("hungry", "env", (), read), b"", tmp_path)
        assert finding is not None
        assert "MB for 0 bytes" in finding.what

    def test_another_finding_does_not_pass_for_the_smaller_one(self, tmp_path: Path) -> None:
        def read(body: bytes, _: Path) -> bool:
            if len(body) < 5:
                raise ValueError
            raise KeyError

        reader = Reader("two", "env", (), read)
        finding, _, _ = try_input(reader, b"abcdefgh", tmp_path)
        assert finding is not None
        assert len(minimal(reader, b"abcdefgh", finding, tmp_path)) == 5

    def test_inputs_stay_small_enough_to_read(self) -> None:
        corpus = own_corpus()
        for kind in {reader.kind for reader in READERS}:
            sizes = [len(mutate(Random(number), kind, corpus)) for number in range(100)]
            assert max(sizes) <= 2_000_000
            assert len(set(sizes)) > 10, kind
