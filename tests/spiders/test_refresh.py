"""What PyPI changes without a new serial is found by asking again, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import Place

PLONE = "Framework :: Plone"
OPTIONS = Options(projects=60, members={"plone": 24}, only_members=True, most_releases=4, empty=0)


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def latest(place: Place, name: str) -> dict[str, object]:
    documents = place.documents("plone").values()
    return next(d for d in documents if d["name_normalized"] == name and d["is_latest"])


async def test_a_refresh_picks_up_what_moves_no_serial(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    archived, warned, owned = replica.replica.members(PLONE)[:3]
    replica.event({"event": "archive", "project": archived})
    replica.event({"event": "advisory", "project": warned})
    replica.event({"event": "organization", "project": owned, "organization": "guild-of-tests"})
    quiet = await place.crawl("pypi", profile="plone")
    assert quiet.figures["fetched"] == 0, "no serial moved"
    refreshed = await place.crawl("project", profile="plone", refresh="1")
    assert refreshed.outcome.exit_code == 0
    assert latest(place, archived)["project_status"] == "archived"
    assert latest(place, warned)["vulnerabilities"]
    assert latest(place, owned)["organization"] == "guild-of-tests"
    assert "project_status" not in latest(place, owned)
    replica.event({"event": "unarchive", "project": archived})
    await place.crawl("project", profile="plone", refresh="1")
    assert "project_status" not in latest(place, archived)


async def test_the_second_refresh_costs_nothing_but_questions(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    await place.crawl("project", profile="plone", refresh="1")
    before = place.documents("plone")
    replica.reset()
    again = await place.crawl("project", profile="plone", refresh="1")
    assert again.figures["unchanged"] == again.figures["fetched"] == 24
    assert again.figures["documents_sent"] == 0
    assert replica.statistics()["statuses"] == {"304": 48}
    assert replica.statistics()["bytes"] == 0
    assert place.documents("plone") == before


async def test_an_outage_during_a_refresh_deletes_nothing(place: Place, replica: Handle) -> None:
    """What emptied the index of the system before: every answer is a 503."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    replica.faults([{"match": "/*", "fault": "status-503"}])
    crawled = await place.crawl(
        "project", profile="plone", refresh="1", settings={"PYPI_MAX_RETRIES": 1, "BACKOFF_MAX_DELAY": 0.01}
    )
    assert crawled.outcome.exit_code == 1
    assert crawled.figures["documents_deleted"] == 0
    assert place.documents("plone") == before
    replica.faults([])
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
    assert place.documents("plone") == before


async def test_a_wrong_404_during_a_refresh_deletes_nothing(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    replica.faults([{"match": "*", "fault": "status-404"}])
    crawled = await place.crawl("project", profile="plone", refresh="1")
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (1, 24), "nothing was verified"
    assert place.documents("plone") == before
    name = replica.replica.members(PLONE)[0]
    replica.faults([{"match": name, "fault": "status-404"}])
    crawled = await place.crawl("project", profile="plone", refresh="1")
    assert (crawled.outcome.exit_code, crawled.figures["failed"]) == (3, 1)
    replica.faults([])
    replica.reset()
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
    assert replica.statistics()["requests"]["project"] == 1, "only an answer ends its failure"
    assert place.documents("plone") == before
    with place.store() as store:
        assert store.failures() == []


async def test_what_was_named_leaves_when_an_index_lacks_it_too(place: Place, replica: Handle) -> None:
    """No other crawl of such a collection reads the index: a deleted package would be shown for ever."""
    gone, hidden, well = replica.replica.members(PLONE)[:3]
    await place.crawl("project", names=f"{gone},{hidden},{well}", collection="stack")
    replica.event({"event": "delete-project", "project": gone})
    replica.faults([{"match": hidden, "fault": "status-404"}])  # a cache's mistake: the index lists it
    crawled = await place.crawl("project", refresh="1", collection="stack")
    assert (crawled.outcome.exit_code, crawled.figures["vanished"], crawled.figures["failed"]) == (3, 1, 1)
    assert {document["name_normalized"] for document in place.documents("stack").values()} == {hidden, well}
    replica.faults([])
    crawled = await place.crawl("project", refresh="1", collection="stack")
    assert crawled.outcome.exit_code == 0
    with place.store() as store:
        assert store.failures() == []


async def test_what_is_gone_leaves_and_fails_also_when_a_refresh_asks_about_some_only(
    place: Place, replica: Handle
) -> None:
    """Else it takes the first places of each next refresh, and a script is told that all is well."""
    names = replica.replica.members(PLONE)[:4]
    await place.crawl("project", names=",".join(names), collection="stack")
    await place.crawl("pypi", profile="plone")
    replica.event({"event": "delete-project", "project": names[0]})
    for _ in range(2):
        await place.crawl("project", collection="stack", refresh="1", limit="3")
    held = {document["name_normalized"] for document in place.documents("stack").values()}
    assert held == {*names[1:]}
    for name in replica.replica.members(PLONE):
        replica.event({"event": "delete-project", "project": name})
    some = await place.crawl("project", profile="plone", refresh="1", limit="3")
    assert some.outcome.exit_code == 3


async def test_a_refresh_sees_a_quarantine_at_once(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "quarantine", "project": name})
    await place.crawl("project", profile="plone", refresh="1")
    assert not [id_ for id_ in place.documents("plone") if id_.startswith(f"{name}==")]


async def test_a_share_does_the_part_that_is_due(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    for _ in range(4):
        part = await place.crawl("project", profile="plone", refresh="1", share="1/4")
        assert part.figures["to_check"] == 6
    with place.store() as store:
        members = replica.replica.members(PLONE)
        known = store.standings(members)
        assert all(known[name].verified_at for name in members), "each was asked about once in four runs"


async def test_a_page_newer_than_the_json_is_a_promise(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "release", "project": name})
    replica.faults([{"match": f"/pypi/{name}/json", "fault": "stale", "times": 1}])
    crawled = await place.crawl("project", profile="plone", refresh="1")
    assert crawled.outcome.exit_code == 0
    newest = replica.replica.project(name).latest  # type: ignore[union-attr]
    assert latest(place, name)["version"] == newest.version  # type: ignore[union-attr]


async def test_a_collection_without_profile_is_refreshed_by_its_name(place: Place, replica: Handle) -> None:
    names = replica.replica.members(PLONE)[:3]
    await place.crawl("project", names=",".join(names), collection="stack")
    replica.event({"event": "archive", "project": names[1]})
    crawled = await place.crawl("project", refresh="1", collection="stack")
    assert (crawled.outcome.exit_code, crawled.figures["to_check"]) == (0, 3)
    (found,) = [d for d in place.documents("stack").values() if d.get("project_status") == "archived"]
    assert found["name_normalized"] == names[1]


async def test_what_a_refresh_found_survives_the_next_fetch(place: Place, replica: Handle) -> None:
    """Enrichment was wiped by every full fetch of the system before."""
    await place.crawl("pypi", profile="plone")
    name = replica.replica.members(PLONE)[0]
    replica.event({"event": "archive", "project": name, "reason": "use another one"})
    await place.crawl("project", profile="plone", refresh="1")
    replica.event({"event": "release", "project": name})
    await place.crawl("pypi", profile="plone")
    await place.crawl("pypi", profile="plone", full="1")
    assert latest(place, name)["project_status"] == "archived"
