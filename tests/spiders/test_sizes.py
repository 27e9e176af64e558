"""What is promised for thousands of packages: three profiles at once, and members first among 100,000 names.

Crawls are the user's commands; the search server starts by itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.collections import iter_documents
from tests.conftest import kill_server
from tests.crawling import EmbeddedPlace, true_documents

FAMILIES = {"plone": "Framework :: Plone", "django": "Framework :: Django", "flask": "Framework :: Flask"}
PATIENCE = 3600  # seconds; nothing here is about time

#: Names among which the members are found, those that are members, and the requests that may find them.
NAMES, MEMBERS, REQUESTS = 100_000, 4_000, 4_100
#: Packages named like members that are none. Nothing but asking tells them from members, so the promise
#: assumes that there are not more than requests to spare: 80 of 100. It also assumes that every member's
#: name has one of the profile's hints; a neutral name among 96,000 others is found when its turn comes.
DECOYS = 80 / MEMBERS
#: How much more memory the crawler may take at its peak than at a quarter of its requests. What is kept of
#: each package would show: 3,000 come after the quarter, and their JSON, 14 kB on average, is 40 MB.
FLAT = 1.15


@pytest.mark.soak
async def test_one_crawl_of_5000_projects_fills_three_collections_and_the_next_asks_for_nothing(
    tmp_path: Path,
) -> None:
    """Else three galleries cost three crawls of PyPI, and each night's run one more."""
    with running_replica(Options(projects=5_000)) as replica, embedded(tmp_path, replica) as place:
        first, took, _ = await crawl(place, replica, "-p", ",".join(FAMILIES))
        names = set(replica.replica.names())
        asked: dict[str, int] = replica.statistics(paths=True)["paths"]
        assert {path: count for path, count in asked.items() if count > 1} == {}
        assert {path for path in asked if re.fullmatch(r"/pypi/[^/]+/json", path)} == {
            f"/pypi/{name}/json" for name in names
        }
        counts = {}
        for alias, classifier in FAMILIES.items():
            held = place.documents(alias)
            assert set(held) == true_documents(replica.replica, classifier)
            counts[alias] = len(held)
        assert (first["exit_code"], first["fetched"]) == (0, len(names))

        replica.reset()
        second, again, _ = await crawl(place, replica, "-p", ",".join(FAMILIES))
        assert replica.statistics(paths=True)["paths"] == {"/simple/": 1}
        assert second["exit_code"] == 0
        assert second["message"].startswith("Nothing to do")
    documents = ", ".join(f"{alias} {count:,}" for alias, count in counts.items())
    print(
        f"soak: {len(names):,} projects, three profiles: {sum(asked.values()):,} requests, no path twice, in "
        f"{took:.0f} s; documents: {documents}; second run: 1 request in {again:.0f} s, {second['message']!r}"
    )


@pytest.mark.soak
async def test_4000_members_among_100000_names_are_searchable_after_4100_requests(tmp_path: Path) -> None:
    """Else the first search after an installation finds members days later, or memory ends before."""
    options = Options(
        projects=NAMES, members={"plone": MEMBERS}, only_members=True, unhinted=0, decoys=DECOYS
    )
    with running_replica(options) as replica, embedded(tmp_path, replica) as place:
        members = set(replica.replica.members(FAMILIES["plone"]))
        hinted = load_profiles()["plone"].hinted
        assert len(members) == MEMBERS
        assert sum(map(hinted, replica.replica.names())) <= REQUESTS, "more decoys than the promise allows"

        said, took, sizes = await crawl(
            place, replica, "-p", "plone", "-a", f"limit={REQUESTS}", "-a", "releases=latest"
        )
        asked = replica.statistics()["requests"]
        others = sum(asked.values()) - asked["project"]
        assert asked["project"] <= REQUESTS
        assert said["exit_code"] == 0
        with place.connection() as connection:
            behind = connection.client.collections["plone"].documents
            found = behind.search({"q": "*", "query_by": "name", "include_fields": "id"})["found"]
            held = [document["name_normalized"] for document in iter_documents(connection.client, "plone")]
        assert found == len(held) == MEMBERS
        assert set(held) == members

    quarter, half = (at(sizes, REQUESTS * share) for share in (0.25, 0.5))
    peak = sizes[-1].peak
    print(
        f"soak: {MEMBERS:,} members among {NAMES:,} names searchable after {asked['project']:,} project "
        f"requests and {others:,} others in {took:.0f} s; crawler's peak resident memory "
        f"{quarter.peak / 1024:.0f} MiB at {quarter.requests:,} requests, {half.peak / 1024:.0f} MiB at "
        f"{half.requests:,}, {peak / 1024:.0f} MiB at the end"
    )
    assert half.requests < REQUESTS * 0.75, "the second half was not watched"
    assert peak <= FLAT * quarter.peak


class Size(NamedTuple):
    """The crawler's peak resident memory (KiB) so far, its README workers not included, after so many
    answers about projects."""

    requests: int
    peak: int


def at(sizes: Sequence[Size], requests: float) -> Size:
    """The first that was noted after so many requests."""
    return next(size for size in sizes if size.requests >= requests)


@contextmanager
def embedded(folder: Path, replica: Handle) -> Iterator[EmbeddedPlace]:
    """A place with a search server of its own, which ends with the block."""
    place = EmbeddedPlace(folder / "data", replica.url)
    try:
        yield place
    finally:
        kill_server(place.folder / "typesense")


async def crawl(
    place: EmbeddedPlace, replica: Handle, *arguments: str
) -> tuple[dict[str, Any], float, list[Size]]:
    """Run `scrapy crawl pypi` to its end: its summary, its seconds, and its memory while it ran."""
    began, sizes = time.monotonic(), list[Size]()
    process = place.popen("crawl", "pypi", *arguments, "--json", "-L", "WARNING")
    ended = asyncio.create_task(asyncio.to_thread(process.communicate, timeout=PATIENCE))
    while not ended.done():
        await asyncio.wait([ended], timeout=0.25)
        statistics = await asyncio.to_thread(replica.statistics)
        if peak := _peak(process.pid):
            sizes.append(Size(statistics["requests"].get("project", 0), peak))
    output, errors = await ended
    assert process.returncode in (0, 3), output + errors
    return json.loads(output), time.monotonic() - began, sizes


def _peak(process: int) -> int | None:
    """KiB of resident memory at the process's peak so far; None when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else None
