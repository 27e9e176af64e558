"""The process that renders READMEs for `renderer`; its arguments: the parent's process id, bytes of memory.

Frames (four bytes of length, then as many bytes) come in on standard input and go out on standard output; the
first one out is empty and says that the process is ready. It ends with its input, or with its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from pyf_scrapy.metadata.descriptions import Description, render

# cmarkgfm never frees ten times the size of each document, so a process is replaced after so many ...
MAX_DOCUMENTS = 1_000
# ... or when it holds this part of what it may.
_WORN = 0.4
_PARENT_CHECK = 0.5  # seconds
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Job(msgspec.Struct, frozen=True, array_like=True):
    """One README to render."""

    source: str | None
    content_type: str | None


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a job: a description, or why there is none; `last` = the process ends after it."""

    description: Description | None
    error: str = ""
    last: bool = False


def read_frame(stream: BinaryIO, at_most: int = 2**32) -> bytes | None:
    """Return the next frame; None if the stream ends before or within it, or it is larger than `at_most`."""
    header = stream.read(4)
    length = int.from_bytes(header, "big")
    if length > at_most:
        return None
    body = stream.read(length)
    return body if len(header) == 4 and len(body) == length else None


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Send one frame (at most 4 GiB); raises OSError when nobody reads the stream any more."""
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


def serve(jobs: BinaryIO, replies: BinaryIO, *, worn_at: float = float("inf")) -> None:
    """Answer jobs until they end, `MAX_DOCUMENTS` are done, one failed or `worn_at` bytes were in use."""
    done = 0
    last = False
    while not last and (body := read_frame(jobs)) is not None:
        job = msgspec.msgpack.decode(body, type=Job)
        done += 1
        description, error = None, ""
        try:
            description = render(job.source, job.content_type)
        except Exception as problem:  # Whatever the libraries raise costs this document alone.
            error = f"{type(problem).__name__}: {problem}".splitlines()[0][:200]
        last = bool(error) or done >= MAX_DOCUMENTS or _memory() >= worn_at
        write_frame(replies, msgspec.msgpack.encode(Reply(description, error, last)))


def die_with(parent: int) -> None:
    """End this process when the process `parent` is gone, in the middle of a document too."""
    if sys.platform == "linux":
        # At once, by the kernel; the thread below cannot run while C code holds the interpreter's lock.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit_memory(size: int) -> None:
    """Let allocations fail beyond `size` bytes of address space, where the system can."""
    if sys.platform != "win32":
        import resource

        # macOS knows the limit and refuses it.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory() -> int:
    """Return the bytes that this process holds (0 where the system does not tell).

    Not the peak of getrusage: on Linux a new process inherits that of the one that started it.
    """
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main(parent: int, max_memory: int) -> None:
    """Set the process up and serve; standard output is kept from libraries that print."""
    die_with(parent)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit_memory(max_memory)
    render("Loads all libraries.", "text/x-rst")
    write_frame(replies, b"")
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, replies, worn_at=max_memory * _WORN)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
