"""`scrapy crawl project`: names come from the command line or from a requirements file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import InvalidName, canonicalize_name
from scrapy import Request

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.parsers.requirements_txt import requirement_names
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.base import PackageSpider


class ProjectSpider(PackageSpider):
    """The packages that it is told: without profile or classifier they are all indexed."""

    name = "project"
    known_arguments = arguments.COMMON | {"names", "requirements"}

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        # Asked for by name: the default profile does not decide.
        targets = super().check_arguments(given, {**settings, "DEFAULT_PROFILE": None})
        names = _names(given)
        if targets:
            return targets
        collection = given.get("collection") or settings.get("TYPESENSE_COLLECTION")
        if not collection:
            raise UsageProblem(
                "where to index? give -a collection=NAME, -a profile=NAME or set TYPESENSE_COLLECTION"
            )
        name = check_alias(collection)
        profile = Profile(key=name, name=name, releases=arguments.releases(given.get("releases")))
        return [Target(profile, releases_given="releases" in given, names=frozenset(names))]

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        self.wanted = _names(given)

    async def requests(self) -> AsyncIterator[Request]:
        self.crawler.stats.set_value(
            "pyf/projects/to_check", min(len(self.wanted), self.limit or len(self.wanted))
        )
        for name in self.wanted:
            request = self.project_request(name)
            if request is None:
                return
            yield request


def _names(given: Mapping[str, str]) -> tuple[str, ...]:
    """Normalized names of `names=` or `requirements=`. Raises UsageProblem."""
    if bool(given.get("names")) == bool(given.get("requirements")):
        raise UsageProblem("which packages? give -a names=NAME,NAME or -a requirements=FILE")
    if requirements := given.get("requirements"):
        return requirement_names(Path(requirements))
    names: dict[str, None] = {}
    for name in filter(None, map(str.strip, given["names"].split(","))):
        try:
            names[canonicalize_name(name, validate=True)] = None
        except InvalidName:
            raise UsageProblem(f"{name[:80]!r} is not a package name") from None
    if not names:
        raise UsageProblem("names= is empty; several names are separated by commas")
    return tuple(names)
