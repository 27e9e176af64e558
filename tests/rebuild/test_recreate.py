"""A collection is made anew while it is searched and written, and whatever goes wrong nobody notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pyf_scrapy.exceptions import (
    AlreadyRunningError,
    RecreateError,
    SearchError,
    StoreError,
    UsageProblem,
)
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.rebuild import recreate as recreation
from pyf_scrapy.rebuild.recreate import Recreated, recreate
from pyf_scrapy.replica.runner import Handle
from pyf_scrapy.search import administration
from pyf_scrapy.search.administration import list_aliases, list_collections, set_alias
from pyf_scrapy.search.collections import create_physical, import_documents
from pyf_scrapy.search.schema import schema
from pyf_scrapy.session import Target
from pyf_scrapy.store import Store
from pyf_scrapy.store.rebuilding import Rebuild
from tests.crawling import Place, true_documents
from tests.takeover.test_takeover import old_index, stars

PLONE = "Framework :: Plone"
TARGET = Target(load_profiles()["plone"])


def nothing(doing: str, done: int, total: int) -> None:
    """A progress that nobody looks at."""


async def made_anew(
    place: Place, target: Target = TARGET, progress: Callable[[str, int, int], None] = nothing, **given: Any
) -> Recreated:
    return await recreate(place.settings(), target, datetime.now(UTC).date(), progress, **given)


def names(place: Place) -> list[str]:
    with place.connection() as connection:
        return [state.name for state in list_collections(connection.client)]


def pointing(place: Place) -> dict[str, str]:
    with place.connection() as connection:
        return list_aliases(connection.client)


async def test_the_new_collection_has_the_same_documents_and_pypi_is_not_asked(
    place: Place, replica: Handle
) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    with place.connection() as connection:
        set_alias(connection.client, "packages", "plone-1")
    replica.reset()
    made = await made_anew(place)
    assert not replica.statistics()["requests"]
    assert (made.old, made.new, made.aliases) == ("plone-1", "plone-2", ("packages", "plone"))
    assert (made.old_documents, made.documents, made.packages) == (len(before), len(before), 24)
    assert place.documents("plone") == before
    assert pointing(place) == {"packages": "plone-2", "plone": "plone-2"}
    assert names(place) == ["plone-1", "plone-2"]
    again = await place.crawl("pypi", profile="plone")
    assert again.figures["documents_sent"] == 0, "the store knows what the new one has"
    made = await made_anew(place, delete_old=True)
    assert (made.new, names(place)) == ("plone-3", ["plone-1", "plone-3"])
    assert place.documents("packages") == before


async def test_what_the_operator_taught_the_search_is_carried_over(place: Place) -> None:
    """Else searches get worse by a recreation, and nobody knows why."""
    await place.crawl("pypi", profile="plone")
    synonym = {"synonyms": ["gizmo", "widget"]}
    override = {"rule": {"query": "gizmo", "match": "exact"}, "excludes": [{"id": "x==1"}]}
    with place.connection() as connection:
        calls = connection.client.api_call
        calls.put("/collections/plone-1/synonyms/theirs", dict, body=synonym)

        def teach(doing: str, done: int, total: int) -> None:
            if doing == "Making documents" and done == 1:
                calls.put("/collections/plone-1/overrides/theirs", dict, body=override)

        made = await made_anew(place, progress=teach)
        ours = calls.get("/collections/plone-1/synonyms", dict)["synonyms"]
        assert calls.get("/collections/plone-2/synonyms", dict)["synonyms"] == ours
        [kept] = calls.get("/collections/plone-2/overrides", dict)["overrides"]
    assert (kept["id"], kept["excludes"]) == ("theirs", override["excludes"])
    assert (made.synonyms, made.overrides) == (len(ours), 1)


async def test_documents_that_the_new_schema_refuses_stop_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W5: the old system switched to a collection of 3 instead of 100 documents."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")

    def stricter(name: str) -> dict[str, Any]:
        made = schema(name)
        made["fields"] = [
            field | {"type": "int64", "sort": True} if field["name"] == "summary" else field
            for field in made["fields"]
        ]
        return made

    monkeypatch.setattr("pyf_scrapy.search.collections.schema", stricter)
    with pytest.raises(RecreateError, match=r"refused, of .*; for example .*summary"):
        await made_anew(place)
    assert (names(place), pointing(place)) == (["plone-1"], {"plone": "plone-1"})
    assert place.documents("plone") == before
    with place.store() as store:
        assert store.rebuild("plone") is None
        assert store.status("plone").dirty == 0


async def test_a_refused_document_can_be_accepted_as_a_loss(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one document that Typesense refuses makes it impossible for good."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    refused = min(before)

    def refusing(client: Any, collection: str, lines: Sequence[bytes]) -> list[str | None]:
        fine = [line for line in lines if json.loads(line)["id"] != refused]
        import_documents(client, collection, fine)
        return [None if line in fine else "too large (400)" for line in lines]

    with monkeypatch.context() as patched:
        patched.setattr("pyf_scrapy.search.batches.import_documents", refusing)
        with pytest.raises(RecreateError, match=r"1 refused, of .*too large"):
            await made_anew(place)
        made = await made_anew(place, accept_losses=True)
    assert made.refused == {refused: "too large (400)"}
    assert set(before) - set(place.documents("plone")) == {refused}
    await place.crawl("pypi", profile="plone")
    assert place.documents("plone") == before, "the next crawl tries again"


async def test_very_many_packages_do_not_go_without_a_word(place: Place) -> None:
    """A mistake in profiles.yaml must not empty the gallery."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    narrow = Target(replace(TARGET.profile, classifiers=(), include=tuple(sorted(before)[0].split("==")[:1])))
    with pytest.raises(RecreateError, match=r"23 of 24 packages of plone-1 do not belong"):
        await made_anew(place, narrow)
    assert (names(place), pointing(place)) == (["plone-1"], {"plone": "plone-1"})
    made = await made_anew(place, narrow, accept_losses=True)
    assert made.packages == 1


async def test_a_collection_of_somebody_else_is_not_removed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    document = json.dumps(next(iter(place.documents("plone").values()))).encode()

    def taken(client: Any, name: str) -> int:
        create_physical(client, name)
        import_documents(client, name, [document])
        return create_physical(client, name)

    with monkeypatch.context() as patched:
        patched.setattr("pyf_scrapy.rebuild.recreate.create_physical", taken)
        with pytest.raises(SearchError, match="already exists"):
            await made_anew(place)
    assert names(place) == ["plone-1", "plone-2"]
    assert (await made_anew(place)).new == "plone-3"
    assert names(place) == ["plone-1", "plone-2", "plone-3"]


async def test_the_old_one_is_kept_when_somebody_has_pointed_to_it_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    verified = recreation._Recreation._verify_switch

    def pointed(self: Any, new: str) -> None:
        set_alias(self.client, "packages", "plone-1")
        verified(self, new)

    monkeypatch.setattr(recreation._Recreation, "_verify_switch", pointed)
    made = await made_anew(place, delete_old=True)
    assert not made.old_deleted
    assert "what is searched as packages" in made.old_kept
    assert pointing(place) == {"packages": "plone-1", "plone": "plone-2"}
    assert names(place) == ["plone-1", "plone-2"]


async def test_a_collection_of_another_system_is_not_filled(place: Place) -> None:
    """pyf.aggregator calls its own the same: `plone-1` behind `plone`."""
    await asyncio.to_thread(old_index, place, [stars("plone.api")], "plone-1")
    with place.connection() as connection:
        set_alias(connection.client, "plone", "plone-1")
    crawled = await place.crawl("pypi", profile="plone")
    assert crawled.outcome.exit_code == 2
    with place.connection() as connection:
        set_alias(connection.client, "old", "plone-1")
        administration.delete_alias(connection.client, "plone")
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
    assert pointing(place) == {"old": "plone-1", "plone": "plone-2"}


async def test_what_is_written_meanwhile_is_in_the_new_collection(place: Place, replica: Handle) -> None:
    """W5b: the old system lost what was written between export and switch."""
    await place.crawl("pypi", profile="plone")
    crawls: list[asyncio.Task[Any]] = []
    members = replica.replica.members(PLONE)

    def publish(doing: str, done: int, total: int) -> None:
        if doing == "Making documents" and done % 10 == 5:
            for name in members[done : done + 3]:
                replica.event({"event": "release", "project": name})
            if not crawls or crawls[-1].done():
                crawls.append(asyncio.ensure_future(place.crawl("pypi", profile="plone")))

    await made_anew(place, progress=publish)
    await asyncio.gather(*crawls)
    assert crawls
    await place.crawl("pypi", profile="plone")
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)
    with place.store() as store:
        assert store.status("plone").dirty == 0


async def test_a_follower_goes_on_with_the_new_collection(place: Place, replica: Handle) -> None:
    """It was started before the switch and runs for weeks."""
    await place.crawl("pypi", profile="plone")
    await place.crawl("rss", profile="plone")
    name = replica.replica.members(PLONE)[0]
    with place.popen("crawl", "rss", "-a", "follow=1", "-p", "plone", "-L", "WARNING") as follower:
        try:
            [entry] = replica.event({"event": "release", "project": name})
            await until(lambda: f"{name}=={entry['version']}" in place.documents("plone"))
            await made_anew(place)
            [entry] = replica.event({"event": "release", "project": name})
            await until(lambda: f"{name}=={entry['version']}" in place.documents("plone"))
        finally:
            follower.terminate()
            output = follower.communicate(timeout=30)
    assert follower.returncode == 0, output
    assert set(place.documents("plone")) == true_documents(replica.replica, PLONE)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if await asyncio.to_thread(true):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never became true")


async def test_what_a_killed_run_left_is_removed_and_the_collections_of_others_are_not(
    place: Place,
) -> None:
    """W5c: in the old system every later run ended with "exists already"."""
    await place.crawl("pypi", profile="plone")
    with place.store() as store, place.connection() as connection:
        store.save_rebuild("plone", Rebuild("plone-1", "plone-2", connection.identity))
        for name in ("plone-2", "plone-7", "plone-extra-9"):
            create_physical(connection.client, name)
    made = await made_anew(place)
    assert made.new == "plone-8"
    assert names(place) == ["plone-1", "plone-7", "plone-8", "plone-extra-9"]


@pytest.mark.parametrize("when", ["before the first alias", "before the store"])
async def test_a_switch_that_was_killed_is_ended_by_the_next_run_of_anything(
    place: Place, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    with place.connection() as connection:
        set_alias(connection.client, "packages", "plone-1")
    with monkeypatch.context() as patched:
        if when == "before the store":
            patched.setattr(Store, "adopt_rebuild", killed)
        else:
            patched.setattr("pyf_scrapy.search.switch.point", killed)
        with pytest.raises(StoreError, match="killed"):
            await made_anew(place)
    assert names(place) == ["plone-1", "plone-2"]
    assert place.documents("plone") == before, "complete, whichever it is"
    crawled = await place.crawl("pypi", profile="plone")
    assert pointing(place) == {"packages": "plone-2", "plone": "plone-2"}
    assert crawled.figures["documents_sent"] == 0
    assert place.documents("plone") == before


def killed(*_: object) -> None:
    raise StoreError("killed")


async def test_a_switch_onto_a_server_that_was_replaced_begins_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.crawl("pypi", profile="plone")
    with monkeypatch.context() as patched:
        patched.setattr(Store, "adopt_rebuild", killed)
        with pytest.raises(StoreError):
            await made_anew(place)
    with place.connection() as connection:
        set_alias(connection.client, "plone", "plone-1")
        administration.drop_collection(connection.client, "plone-2")
    before = place.documents("plone")
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == 0
    assert pointing(place) == {"plone": "plone-1"}
    assert place.documents("plone") == before
    with place.store() as store:
        assert store.rebuild("plone") is None


async def test_packages_that_the_store_does_not_know_are_not_lost(place: Place) -> None:
    """For example those of a store that was lost, or of another system."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    stranger = next(iter(before.values())) | {"id": "stranger==1", "name": "stranger"}
    with place.connection() as connection:
        assert import_documents(connection.client, "plone-1", [json.dumps(stranger).encode()]) == [None]
    with pytest.raises(RecreateError, match=r"plone-1 has packages .* \(1\): stranger"):
        await made_anew(place)
    assert names(place) == ["plone-1"]
    await made_anew(place, accept_losses=True)
    assert place.documents("plone") == before


async def test_another_run_that_changes_the_collection_stops_it(place: Place) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    opened = False

    def change(doing: str, done: int, total: int) -> None:
        nonlocal opened
        if doing == "Making documents" and not opened:
            opened = True
            with place.store() as store:
                row = store.collection("plone")
                assert row is not None
                store.open_collection(*row._replace(releases=1))

    with pytest.raises(RecreateError, match="run it again"):
        await made_anew(place, progress=change)
    assert (names(place), pointing(place)) == (["plone-1"], {"plone": "plone-1"})
    assert place.documents("plone") == before


async def test_an_alias_of_a_collection_is_not_filled_as_another_one(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of the two would take the documents of the other for strangers."""
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    with place.connection() as connection:
        set_alias(connection.client, "packages", "plone-1")
    crawled = await place.crawl("pypi", profile="django", collection="packages")
    assert crawled.outcome.exit_code == 2
    assert "which is the collection plone: fill that" in caplog.text
    assert place.documents("plone") == before
    target = Target(replace(TARGET.profile, collection="packages"))
    with pytest.raises(UsageProblem, match="which is the collection plone"):
        await made_anew(place, target)


async def test_a_collection_of_names_is_made_anew_as_it_was_made(place: Place, replica: Handle) -> None:
    wanted = replica.replica.members(PLONE)[:3]
    await place.crawl("project", names=",".join(wanted), collection="mine", releases="2")
    before = place.documents("mine")
    profile = replace(TARGET.profile, key="mine", collection="mine")
    made = await made_anew(place, Target(profile, as_made=True))
    assert (made.new, made.packages) == ("mine-2", 3)
    assert place.documents("mine") == before


@pytest.mark.parametrize("how", ["the server fails", "Ctrl-C"])
async def test_what_ends_it_in_the_middle_leaves_nothing_behind(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await place.crawl("pypi", profile="plone")
    before = place.documents("plone")
    sent = 0

    def failing(*given: Any, **named: Any) -> list[str | None]:
        nonlocal sent
        sent += 1
        if sent == 2 and how == "Ctrl-C":
            loop.call_soon_threadsafe(task.cancel)
        elif sent == 2:
            raise SearchError("import into plone-2: gone")
        return import_documents(*given, **named)

    monkeypatch.setattr("pyf_scrapy.search.batches.import_documents", failing)
    monkeypatch.setattr("pyf_scrapy.settings.TYPESENSE_BATCH_DOCUMENTS", 20)
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(made_anew(place))
    with pytest.raises(SearchError if how == "the server fails" else asyncio.CancelledError):
        await task
    assert (names(place), pointing(place)) == (["plone-1"], {"plone": "plone-1"})
    assert place.documents("plone") == before
    with place.store() as store:
        assert store.rebuild("plone") is None
        assert [row.collection for row in store.collections()] == ["plone"]


async def test_a_second_one_at_the_same_time_is_refused(place: Place) -> None:
    await place.crawl("pypi", profile="plone")
    one, other = await asyncio.gather(made_anew(place), made_anew(place), return_exceptions=True)
    assert {type(one), type(other)} == {Recreated, AlreadyRunningError}
    assert names(place) == ["plone-1", "plone-2"]
