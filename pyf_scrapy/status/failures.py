"""Packages that failed: when they are tried again, and putting them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import StoreError, UsageProblem
from pyf_scrapy.profiles_file import did_you_mean
from pyf_scrapy.session import open_store, store_url
from pyf_scrapy.store import FailureRow
from pyf_scrapy.store.database import Database

#: The stage whose failures wait for their time: to render a README again costs seconds each time.
_PATIENT = "description"


@dataclass(frozen=True)
class Retried:
    """How many failures were put back, of which packages, and the collections of the store."""

    count: int
    collections: list[str]
    names: list[str] = field(default_factory=list)


def next_try(row: FailureRow, now: int) -> int | None:
    """When a failed package is tried again (epoch seconds), None = by the next run, whenever that is."""
    return row.next_try if row.stage == _PATIENT and row.next_try > now else None


def retry(settings: Mapping[str, Any], names: Sequence[str], *, now: int) -> Retried:
    """Make failures due: of the packages `names` (any spelling), of all when none is named.

    Raises UsageProblem, and puts nothing back, when one of them has not failed; StoreError. Makes no store.
    """
    wanted = {str(canonicalize_name(name)): name for name in names}
    if not has_store(settings):
        _refuse_others(wanted, ())
        return Retried(0, [])
    with open_store(settings, of_any_pypi=True) as store:
        failed = {row.normalized_name for row in store.failures()}
        _refuse_others(wanted, failed)
        count = store.retry_failures(list(wanted) or None, now)
        collections = [row.collection for row in store.collections()]
        return Retried(count, collections, sorted(failed & wanted.keys() if wanted else failed))


def has_store(settings: Mapping[str, Any]) -> bool:
    """Whether there is a store, or a server that may have one. Raises StoreError, also where the data folder
    cannot be used."""
    folder = settings["PYF_DATA_DIR"]
    try:
        Path(folder, "runs").stat()  # there or not: it must be a folder, and one may look into it
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreError(f"PYF_DATA_DIR={folder} cannot be used: {error.strerror}") from error
    return Database(store_url(settings)).is_there


def _refuse_others(wanted: Mapping[str, str], failed: Collection[str]) -> None:
    for normalized_name, name in wanted.items():
        if normalized_name not in failed:
            raise UsageProblem(
                f"{name[:80]!r} has not failed{did_you_mean(normalized_name, failed)}; "
                "`scrapy status --failures` lists what has"
            )
