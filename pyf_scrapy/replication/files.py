"""Lines to a file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyf_scrapy.exceptions import ReplicationError
from pyf_scrapy.replication.compression import compressed


def write_whole(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines to `path`, with gzip where its name ends in .gz; returns how many.

    It takes the place of a file of before when it is complete. Raises ReplicationError when that fails, and
    what `lines` raises.
    """
    count = 0

    def counted() -> Iterable[bytes]:
        nonlocal count
        for line in lines:
            count += 1
            yield line

    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.writelines(compressed(counted()) if path.suffix == ".gz" else counted())
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(path)
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
