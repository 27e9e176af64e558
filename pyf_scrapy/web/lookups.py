"""Looking up many packages at once, by name and by repository, in an answer of bounded size.

What is asked twice, in whatever spelling, is answered once. One repository can have hundreds of packages: of
these the first are named, and how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyf_scrapy.search.queries import normalize
from pyf_scrapy.web.catalogue import Packages
from pyf_scrapy.web.filters import repository_key

#: Packages that are named of one repository, and of all together.
MOST_OF_ONE = 20
MOST_OF_ALL = 500


def look_up(packages: Packages, names: Iterable[str], addresses: Iterable[str]) -> dict[str, Any]:
    """The packages of names, and those of the repositories that addresses lead to, in the order asked for."""
    return {"names": _of_names(packages, names), "repositories": _of_repositories(packages, addresses)}


def _of_names(packages: Packages, names: Iterable[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        row = packages.by_name.get(normalize(name))
        found.setdefault(normalize(name), {"asked": name, "package": None if row is None else row.shown})
    return list(found.values())


def _of_repositories(packages: Packages, addresses: Iterable[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    left = MOST_OF_ALL
    for address in addresses:
        key = repository_key(address)
        if (key or address) in found:
            continue
        names = sorted(packages.of_repository.get(key, ())) if key else []
        named = names[: min(MOST_OF_ONE, left)]
        left -= len(named)
        found[key or address] = {
            "asked": address,
            "found": len(names),
            "packages": [packages.by_name[name].shown for name in named],
        }
    return list(found.values())
