"""Names of packages as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import UsageProblem

#: Characters; no project of PyPI comes near.
LONGEST = 255

_NORMAL = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # of a valid name (PEP 508), normalized


def package_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The normalized names (PEP 503), each once, in their order. Raises UsageProblem for what is no name."""
    names: dict[str, None] = {}
    for text in texts:
        name = canonicalize_name(text)
        if not text.isascii() or len(text) > LONGEST or not _NORMAL.fullmatch(name):
            raise UsageProblem(f"{text[:80]!r} is not a package name")
        names[name] = None
    return tuple(names)
