"""Prints where `make test` keeps the files of its tests: in memory where there is room for them.

The stores and the search servers of a run wait for the disk tens of thousands of times. No test needs one: a
killed process loses nothing that it has written, only a computer without power does.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
NEEDED = 4 * 1024**3  # bytes; far more than a whole run writes


def folder() -> str:
    """MEMORY, if it has room, may be written to and programs may be run there; else the usual folder."""
    try:
        has_room = min(shutil.disk_usage(MEMORY).free, _available()) >= NEEDED
        runs_programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    except OSError:
        return tempfile.gettempdir()
    return str(MEMORY) if has_room and runs_programs and os.access(MEMORY, os.W_OK) else tempfile.gettempdir()


def _available() -> int:
    """Bytes of memory that nobody needs."""
    found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    print(folder())
