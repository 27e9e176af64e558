"""What tests of `scrapy crawl github` share: how it is run, and what is true of its repositories."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from pyf_scrapy.replica import Handle
from pyf_scrapy.replica.repositories import Repository
from pyf_scrapy.spiders.linking import Linker
from tests.crawling import Crawled, Place

PLONE, DJANGO = "Framework :: Plone", "Framework :: Django"
TOKEN = "ghp_oneSecretToken"


def github(place: Place, token: str | None = TOKEN, **more: Any) -> dict[str, Any]:
    url = f"{place.pypi_url}/github"
    known = {"GITHUB_API_URL": url, "GITHUB_TOKEN": token, "GITHUB_REQUEST_DELAY": 0}
    return {**known, "PYPI_RETRY_BACKOFF": 0.001, **more}


async def enrich(
    place: Place, token: str | None = TOKEN, more: dict[str, Any] | None = None, **arguments: str
) -> Crawled:
    profiles = {"profile": "plone,django"} if "profile" not in arguments else {}
    settings = github(place, token, **(more or {}))
    return await place.crawl("github", settings=settings, **profiles, **arguments)


def latest(place: Place, *aliases: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for alias in aliases or ("plone", "django"):
        found |= place.documents(alias)
    return {d["name_normalized"]: d for d in found.values() if d["is_latest"]}


def figures(replica: Handle, kind: str = "graphql") -> dict[str, Any]:
    return dict(replica.statistics()["services"][f"github-{kind}"])


def living(replica: Handle) -> dict[str, Repository]:
    """Members whose repository on GitHub is there, with what is true of it; by name, so that a test takes the
    same one each time. Not all of them name their repository: `plain` has those that do."""
    names = sorted({*replica.replica.members(PLONE), *replica.replica.members(DJANGO)})
    found = {name: replica.replica.repositories.of_project(name) for name in names}
    return {name: one for name, one in found.items() if one is not None and not one.state}


def plain(place: Place, replica: Handle) -> dict[str, Repository]:
    """Packages with their repository, of those that no other package is of, named by its present name."""
    names = living(replica)
    with place.store() as store:
        Linker(store, now=int(time.time())).link(list(names))
        links = store.links(names)
    keys = Counter(key for link in links.values() for key in link.candidates)
    found = {}
    for name, repository in names.items():
        key = f"github.com/{repository.full_name}".lower()
        if links[name].candidates[:1] == (key,) and keys[key] == 1 and not repository.empty:
            found[name] = repository
    return found


def asked_about(place: Place) -> dict[str, int]:
    """All keys that packages name, with when GitHub answered."""
    with place.store() as store:
        names = [d["name_normalized"] for d in latest(place).values()]
        keys = {key for link in store.links(names).values() for key in link.candidates[:1]}
        return {key: age.fetched_at for key, age in store.repository_ages(keys).items()}


def all_enriched(place: Place, replica: Handle) -> int:
    """Asserts that each package whose repository lives and is named by its metadata shows it."""
    documents, shown = latest(place), 0
    with place.store() as store:
        links = store.links(documents)
    for name, repository in living(replica).items():
        claimed = links[name].candidates[:1]
        former = replica.replica.project(name)
        if former is None or claimed != (f"github.com/{former.repository}".lower(),):
            continue
        assert documents[name].get("github_stars") == repository.stars, name
        assert documents[name]["github_url"] == f"https://github.com/{repository.full_name}"
        shown += 1
    return shown
