"""Fills a store as a crawl does for which nothing matches, without fetching: for cases that begin there.

    python -m benchmarks.fill URL FOLDER

reads the index at URL and notes each project with its serial in FOLDER's store.
"""

from __future__ import annotations

import sys
import urllib.request
import zlib
from itertools import islice

from packaging.utils import canonicalize_name

from pyf_scrapy.parsers.simple_index import IndexEntry, parse_index
from pyf_scrapy.session import open_store
from pyf_scrapy.store import Check

_CLASSIFIERS = ("Programming Language :: Python :: 3", "License :: OSI Approved :: MIT License")


def _check(entry: IndexEntry) -> Check:
    return Check(str(canonicalize_name(entry.name)), entry.name, entry.serial or 0, _CLASSIFIERS)


def main() -> None:
    """Does it."""
    url, folder = sys.argv[1:]
    with urllib.request.urlopen(f"{url}/simple/", timeout=600) as response:  # noqa: S310
        index = parse_index(zlib.decompress(response.read(), wbits=31))
    with open_store({"PYPI_URL": url, "PYF_DATA_DIR": folder}) as store:
        entries = iter(index.projects)
        while some := list(islice(entries, 5000)):
            store.record_checks([_check(entry) for entry in some])


if __name__ == "__main__":
    main()
