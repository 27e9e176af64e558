"""Lines to a file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyf_scrapy.exceptions import ReplicationError, UsageProblem
from pyf_scrapy.replication.compression import compressed


def write_whole(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines to `path`, with gzip where its name ends in .gz; returns how many.

    It takes the place of a file of before, also of one that a link leads to, when it is complete. Raises
    UsageProblem for a device, a pipe or a folder, which no file may take the place of; ReplicationError when
    writing fails, and what `lines` raises.
    """
    place = Path(os.path.realpath(path))
    count = 0

    def counted() -> Iterable[bytes]:
        nonlocal count
        for line in lines:
            count += 1
            yield line

    try:
        if place.exists() and not place.is_file():
            raise UsageProblem(f"{path} is no file; without -o the lines go to standard output")
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", delete=False) as file:
            try:
                file.writelines(compressed(counted()) if path.suffix == ".gz" else counted())
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(place)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ReplicationError(f"{path} cannot be written: {error.strerror or error}") from error
    return count


def _umask() -> int:
    """What new files of this process must not allow; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
