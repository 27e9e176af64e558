"""`scrapy verify` is the proof that nothing was missed: what differs must be named, and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyf_scrapy.exceptions import FetchError, ParseError
from pyf_scrapy.items import health_of, package_item
from pyf_scrapy.metadata.descriptions import render
from pyf_scrapy.metadata.renderer import Renderer
from pyf_scrapy.parsers.project_json import ProjectRecord, parse_project
from pyf_scrapy.parsers.simple_index import SimplePage
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.collections import (
    delete_documents,
    import_documents,
    iter_documents,
)
from pyf_scrapy.search.documents import CALCULATED, document_hash
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.store import PackageFacts, Store, StoredPackage
from pyf_scrapy.verify.asking import PyPI
from pyf_scrapy.verify.differences import Kind
from pyf_scrapy.verify.index import Collection, IndexComparison, held_documents
from pyf_scrapy.verify.pypi import Said, compare
from tests.commands.world import run_in
from tests.conftest import drop_all
from tests.crawling import CHECKOUT, Place

Capture = pytest.CaptureFixture[str]
Document = dict[str, Any]

OPTIONS = Options(projects=30, members={"plone": 14}, only_members=True, most_releases=6, missing=0)
PLONE = "Framework :: Plone"


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture(scope="module")
def crawled(
    typesense_server: Server, replica: Handle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """The packages of the replica, crawled once."""
    folder = tmp_path_factory.mktemp("verify") / "data"
    place = Place(folder, replica.url, typesense_server, {"RENDER_WORKERS": 1})
    with place.connection() as connection:
        drop_all(connection)
        assert asyncio.run(place.crawl("pypi", profile="plone")).outcome.exit_code == 0
        yield place
        drop_all(connection)


@pytest.fixture
def place(
    crawled: Place, replica: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A copy of the store, the index as it was crawled, a replica without faults."""
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("COLUMNS", "160")
    shutil.copytree(crawled.folder, tmp_path / "data")
    before = held(crawled)
    replica.faults([])
    replica.reset()
    yield replace(crawled, folder=tmp_path / "data")
    if held(crawled) != before:
        take(crawled, *(document["id"] for document in held(crawled)))
        put(crawled, *before)


@pytest.fixture
def names(replica: Handle) -> list[str]:
    return replica.replica.members(PLONE)


def held(place: Place) -> list[Document]:
    """The documents of the index as they are."""
    with place.connection() as connection:
        return sorted(iter_documents(connection.client, "plone-1"), key=lambda document: document["id"])


def put(place: Place, *documents: Document) -> None:
    """Write documents into the index behind the store's back."""
    lines = [msgspec.json.encode(document) for document in documents]
    with place.connection() as connection:
        assert set(import_documents(connection.client, "plone-1", lines)) == {None}


def take(place: Place, *ids: str) -> None:
    """Delete documents of the index behind the store's back."""
    with place.connection() as connection:
        assert delete_documents(connection.client, "plone-1", ids) == len(ids)


def latest(place: Place, name: str) -> Document:
    """The document of the latest release of a package."""
    (document,) = (d for d in held(place) if d["name_normalized"] == name and d["is_latest"])
    return document


def dump(place: Place) -> list[str]:
    """All that the store has."""
    connection = sqlite3.connect(place.folder / "store.sqlite")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def save_metadata(store: Store, name: str, **values: object) -> None:
    """Store other facts of a package's latest release at the same serial."""
    package = store.load_package(name)
    assert package is not None
    metadata = msgspec.structs.replace(package.project.metadata, **values)
    project = msgspec.structs.replace(package.project, metadata=metadata)
    store.save_packages([PackageFacts(project, package.serial, {}, 2)])


def report(
    place: Place, capsys: Capture, *arguments: str, code: int = 1, **settings: object
) -> dict[str, Any]:
    """What `verify -p plone --json` found."""
    capsys.readouterr()
    assert run_in(place, "verify", "-p", "plone", "--json", *arguments, **settings) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    made: dict[str, Any] = json.loads(printed.out)
    kinds = [row["kind"] for row in made["differences"] + made["unreachable"]]
    assert made["counts"] == {kind.value: kinds.count(kind) for kind in Kind}
    return made


def named(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str | None, str | None, str]]:
    return {(row["package"], row["id"], row["kind"]) for row in rows}


class TestNothingDiffers:
    def test_after_a_crawl(self, place: Place, names: list[str], capsys: Capture) -> None:
        assert run_in(place, "verify", "-p", "plone", "--all") == 0
        printed = capsys.readouterr()
        assert [line.split(maxsplit=1) for line in printed.out.splitlines() if line] == [
            ["collection", "plone, profile plone"],
            ["compared", f"{len(names)} packages of the store, {len(held(place))} documents of the index"],
            ["PyPI", f"asked about {len(names)} of {len(names)} packages"],
            ["No", "difference."],
        ]
        assert printed.err == ""

    def test_json_has_stable_keys(self, place: Place, names: list[str], capsys: Capture) -> None:
        made = report(place, capsys, "--offline", code=0)
        assert list(made) == [
            *("collection", "profile", "packages", "documents", "to_ask", "asked", "seed", "stopped"),
            *("counts", "differences", "unreachable"),
        ]
        assert list(made["counts"]) == [kind.value for kind in Kind]
        assert made["packages"] == len(names)
        assert (made["to_ask"], made["asked"], made["seed"], made["stopped"]) == (0, 0, None, None)

    def test_nothing_is_changed(self, place: Place, names: list[str], capsys: Capture) -> None:
        take(place, latest(place, names[0])["id"])
        before = dump(place), held(place)
        assert report(place, capsys, "--sample", "1")["differences"]
        assert (dump(place), held(place)) == before

    def test_ageing_is_no_difference(self, place: Place, names: list[str], capsys: Capture) -> None:
        """A score is that of the day which its document names; a crawl renews it, `verify` need not."""
        old = latest(place, names[0])
        later = datetime(2039, 5, 5, tzinfo=UTC)
        with place.store() as store:
            package = store.load_package(names[0])
            assert package is not None
            item = package_item(package, "pypistats")
            said = item.releases[0].metadata
            item.descriptions = {said.version: render(said.description, said.description_content_type)}
            aged = health_of(item, later.date())
            assert aged is not None
            assert aged.breakdown["recency"] != old["health_score_breakdown"]["recency"]
            old["health_score_breakdown"] = aged.breakdown
            old["health_score"] = aged.score
            old[CALCULATED] = int(later.timestamp())
            noted = store.indexed("plone", names[:1])[names[0]].hashes | {old["id"]: document_hash(old)}
            store.finish_index("plone", [(names[0], package.revision, noted)])
        put(place, old)
        assert report(place, capsys, "--offline", code=0)["differences"] == []

    def test_of_real_documents(self, place: Place, real_data: Path, capsys: Capture) -> None:
        """What people publish comes out of Typesense as it went in, as far as the hashes see."""
        records: dict[str, ProjectRecord] = {}
        for path in sorted((real_data / "pypi_json").glob("*.json"))[::4]:
            try:
                record = parse_project(path.read_bytes())
            except ParseError:
                continue  # the parser's tests say which
            records[record.normalized_name] = record
        assert len(records) > 30
        real = replace(place, folder=place.folder.with_name("real"))
        with real.store() as store:
            store.save_packages([PackageFacts(r, r.serial or 0, {}, 1) for r in records.values()])
        crawl = real.crawl("pypi", classifier="*", collection="real", limit="1")
        assert asyncio.run(crawl).figures["passed_on"] == len(records)
        assert run_in(real, "verify", "-c", "real", "--offline") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "No difference."


class TestIndex:
    """What happened to the index behind the store's back."""

    def test_each_kind_is_named(self, place: Place, names: list[str], capsys: Capture) -> None:
        lost, changed, unknown, stranger, untold, forgotten = (latest(place, name) for name in names[:6])
        take(place, lost["id"])
        put(place, changed | {"summary": "Something else", "license": "None"})
        put(place, unknown | {"id": f"{names[2]}==0.0.1", "is_latest": False})
        put(place, stranger | {"id": "stranger==1.0", "name_normalized": "stranger"})
        put(place, untold | {"name_normalized": "somebody-else"})
        with place.store() as store:
            revision = store.revisions(names)[names[5]]
            hashes = store.indexed("plone", names)[names[5]].hashes
            hashes["never==sent"] = hashes.pop(forgotten["id"])
            store.finish_index("plone", [(names[5], revision, hashes)])
        made = report(place, capsys, "--offline")
        rows = {(row["id"], row["kind"]): row for row in made["differences"]}
        assert named(made["differences"]) == {
            (names[0], lost["id"], "missing"),
            (names[0], lost["id"], "bookkeeping"),
            (names[1], changed["id"], "different"),
            (names[1], changed["id"], "bookkeeping"),
            (names[2], f"{names[2]}==0.0.1", "surplus"),
            (names[2], f"{names[2]}==0.0.1", "bookkeeping"),
            ("stranger", "stranger==1.0", "surplus"),
            ("stranger", "stranger==1.0", "bookkeeping"),
            (names[4], untold["id"], "different"),
            (names[4], untold["id"], "bookkeeping"),
            (names[5], forgotten["id"], "bookkeeping"),
            (names[5], "never==sent", "bookkeeping"),
        }
        assert rows[changed["id"], "different"]["detail"] == "license, summary"
        assert rows[untold["id"], "different"]["detail"] == "name_normalized"
        assert rows["stranger==1.0", "surplus"]["detail"].endswith("package that does not belong")
        assert made["documents"] == len(held(place))

    def test_a_person_sees_every_difference(self, place: Place, names: list[str], capsys: Capture) -> None:
        document = latest(place, names[0])
        take(place, document["id"])
        capsys.readouterr()
        assert run_in(place, "verify", "-p", "plone", "--offline") == 1
        lines = capsys.readouterr().out.splitlines()
        rows = [line.split()[:3] for line in lines if line.startswith(names[0])]
        assert rows == [[names[0], kind, document["version"]] for kind in ("bookkeeping", "missing")]
        assert lines[-1] == "2 differences: 1 missing, 1 bookkeeping."

    def test_what_the_next_crawl_sends_is_waiting(
        self, place: Place, names: list[str], capsys: Capture
    ) -> None:
        """Facts that are newer than the index, and documents that the next crawl sends away."""
        take(place, latest(place, names[0])["id"])
        with place.store() as store:
            save_metadata(store, names[0], summary="Newer")
            save_metadata(store, names[1], classifiers=("Framework :: Flask",))
        made = report(place, capsys, "--offline")
        assert named(made["differences"]) == {(name, None, "waiting") for name in names[:2]}
        assert made["packages"] == len(names) - 1

    def test_another_collection_behind_the_alias(self, place: Place, capsys: Capture) -> None:
        with place.store() as store:
            row = store.collection("plone")
            assert row is not None
        with sqlite3.connect(place.folder / "store.sqlite") as connection:
            connection.execute("UPDATE collections SET physical = 'plone-7'")
        connection.close()
        (difference,) = report(place, capsys, "--offline")["differences"]
        assert (difference["package"], difference["id"], difference["kind"]) == (None, None, "bookkeeping")
        assert difference["detail"] == "the store knows plone-7 behind plone, the index has plone-1 there"

    def test_a_lost_collection_is_one_line(self, place: Place, capsys: Capture) -> None:
        with sqlite3.connect(place.folder / "store.sqlite") as connection:
            connection.execute("UPDATE collections SET collection = 'flask'")
        connection.close()
        assert run_in(place, "verify", "-p", "flask") == 1
        line = (
            "scrapy verify: there is no collection 'flask' yet; make it: scrapy crawl pypi -a profile=flask"
        )
        assert capsys.readouterr().err == f"{line}\n"

    async def test_what_a_crawl_changes_meanwhile_is_no_difference(
        self, place: Place, names: list[str]
    ) -> None:
        """`verify` may take hours: a package is looked at again before anything is said of it."""
        renderer = Renderer()
        try:
            with place.connection() as connection, place.store() as store:
                before = held_documents(connection.client, "plone-1", lambda done: None)
                save_metadata(store, names[0], summary="Newer")
                assert (await place.crawl("pypi", profile="plone")).figures["packages_indexed"] == 1
                assert latest(place, names[0])["summary"] == "Newer"
                profile, today = load_profiles()["plone"], datetime.now(UTC).date()
                collection = Collection("plone", "plone-1", profile, all_texts=False)
                comparison = IndexComparison(store, connection.client, collection, renderer, today)
                assert await comparison.differences(before, lambda doing, done, total: None) == []
        finally:
            await renderer.close()


class TestPyPI:
    """What PyPI says now, of the packages that are asked about."""

    @pytest.fixture
    def elsewhere(
        self, typesense_server: Server, place: Place, tmp_path: Path
    ) -> Iterator[tuple[Place, Handle]]:
        """A replica and a crawl of the test's own."""
        with running_replica(OPTIONS) as replica:
            own = replace(place, folder=tmp_path / "own", pypi_url=replica.url)
            assert asyncio.run(own.crawl("pypi", profile="plone")).outcome.exit_code == 0
            yield own, replica

    def test_what_happened_since_the_crawl(
        self, elsewhere: tuple[Place, Handle], names: list[str], capsys: Capture
    ) -> None:
        place, replica = elsewhere
        released, deleted, quarantined, archived, organized, advised, emptied, broken = names[:8]
        replica.event(
            {"event": "release", "project": released, "version": "987.1"},
            {"event": "delete-project", "project": deleted},
            {"event": "quarantine", "project": quarantined},
            {"event": "archive", "project": archived, "reason": "No time"},
            {"event": "organization", "project": organized, "organization": "Plone"},
            {"event": "advisory", "project": advised},
            *(
                {"event": "delete-release", "project": emptied, "version": release.version}
                for release in replica.replica.project(emptied).releases  # type: ignore[union-attr]
            ),
        )
        replica.faults([{"match": f"/pypi/{broken}/json", "fault": "garbage"}])
        made = report(place, capsys, "--all")
        assert named(made["differences"]) == {
            (released, None, "behind"),
            (deleted, None, "gone"),
            (quarantined, None, "quarantined"),
            (archived, None, "status"),
            (organized, None, "organization"),
            (advised, None, "vulnerabilities"),
            (emptied, None, "behind"),
        }
        assert named(made["unreachable"]) == {(broken, None, "unreachable")}
        details = {row["kind"]: row["detail"] for row in made["differences"]}
        assert "archived (No time), the store active" in details["status"]
        assert details["organization"] == "PyPI says Plone, the store none"

    def test_what_the_store_has_otherwise_at_the_same_serial(
        self, place: Place, names: list[str], capsys: Capture
    ) -> None:
        with place.store() as store:
            packages = {
                package.normalized_name: package
                for package in store.load_packages(names)
                if len(package.project.files or {}) > 2
            }
            (fewer, yanked, other, lacking, *_) = packages.values()
            version = fewer.project.version
            oldest = next(v for v in fewer.project.files or {} if v != version)
            change = msgspec.structs.replace
            files = dict(fewer.project.files or {})
            del files[oldest]
            changed = [change(fewer.project, files=files)]
            files = dict(yanked.project.files or {})
            files[yanked.project.version] = tuple(
                change(file, yanked=True, yanked_reason="Mine") for file in files[yanked.project.version]
            )
            changed.append(change(yanked.project, files=files))
            classifiers = (*other.classifiers, "Topic :: Utilities")
            changed.append(
                change(other.project, metadata=change(other.project.metadata, classifiers=classifiers))
            )
            store.save_packages(
                [
                    PackageFacts(project, packages[project.normalized_name].serial, {}, 2)
                    for project in changed
                ]
            )
        with sqlite3.connect(place.folder / "store.sqlite") as connection:
            lost = next(v for v in lacking.project.files or {} if v != lacking.project.version)
            values = (lacking.normalized_name, lost)
            connection.execute("DELETE FROM releases WHERE normalized_name = ? AND version = ?", values)
        connection.close()
        made = report(place, capsys, "--all")
        rows = {row["kind"]: row for row in made["differences"] if row["kind"] != "waiting"}
        assert made["counts"]["waiting"] == 3
        assert rows["yanked"]["id"] == f"{yanked.normalized_name}=={yanked.project.version}"
        assert rows["yanked"]["detail"] == "PyPI says not yanked, the store yanked (Mine)"
        assert rows["classifiers"]["package"] == other.normalized_name
        assert rows["classifiers"]["detail"] == "only the store has Topic :: Utilities"
        details = {row["package"]: row["detail"] for row in made["differences"] if row["kind"] == "releases"}
        assert details == {
            fewer.normalized_name: f"only PyPI has {oldest}",
            lacking.normalized_name: f"without metadata in the store {lost}",
        }
        assert rows["surplus"]["id"] == f"{lacking.normalized_name}=={lost}"

    def test_a_seed_chooses_the_same_packages_again(
        self, place: Place, replica: Handle, capsys: Capture
    ) -> None:
        def asked(*arguments: str) -> tuple[int, set[str]]:
            replica.reset()
            made = report(place, capsys, "--sample", "4", *arguments, code=0)
            assert (made["to_ask"], made["asked"]) == (4, 4)
            paths = set(replica.statistics(paths=True)["paths"])
            assert len(paths) == 8
            return made["seed"], paths

        first = asked("--seed", "1")
        assert asked("--seed", "1") == first
        assert asked("--seed", "2")[1] != first[1]

    def test_requests_are_few_named_and_in_series(
        self, place: Place, replica: Handle, names: list[str], capsys: Capture
    ) -> None:
        report(place, capsys, "--offline", code=0)
        assert replica.statistics()["total"] == 0
        report(place, capsys, "--all", code=0, USER_AGENT="pyf_scrapy/1 (+me@example.org)")
        seen = replica.statistics()
        assert seen["requests"] == {"project": len(names), "simple": len(names)}
        assert (seen["most_concurrent"], seen["unnormalized"]) == (1, 0)
        assert list(seen["user_agents"]) == ["pyf_scrapy/1 (+me@example.org)"]

    def test_a_server_that_fails_is_left_alone(
        self, place: Place, replica: Handle, names: list[str], capsys: Capture
    ) -> None:
        replica.faults([{"match": "*", "fault": "status-500"}])
        made = report(place, capsys, "--all")
        assert (made["asked"], made["to_ask"], made["differences"]) == (3, len(names), [])
        assert named(made["unreachable"]) == {(name, None, "unreachable") for name in names[:3]}
        assert made["stopped"].startswith("PyPI was not asked any further: 3 packages in a row")
        assert replica.statistics()["total"] == 6
        assert run_in(place, "verify", "-p", "plone") == 1
        lines = capsys.readouterr().out.splitlines()
        assert re.search(r"\(--sample 14 --seed \d+\)$", lines[2]), "so that it can be repeated"
        assert lines[-1] == "No difference, but 3 unreachable."
        assert lines[-2].endswith("HTTP 500")

    def test_a_server_that_asks_to_wait_is_obeyed(
        self, place: Place, replica: Handle, names: list[str], capsys: Capture
    ) -> None:
        replica.faults([{"match": "*", "fault": "status-429", "retry_after": "date+3000"}])
        made = report(place, capsys, "--all")
        assert replica.statistics()["total"] == 1
        assert "it asks to be left alone for " in made["stopped"]
        replica.faults([{"match": "*", "fault": "status-503", "retry_after": 0, "times": 2, "per": "rule"}])
        made = report(place, capsys, "--all")
        assert (made["asked"], made["counts"]["unreachable"]) == (len(names), 1)

    def test_an_answer_that_proves_nothing_is_no_difference(
        self, place: Place, replica: Handle, names: list[str], capsys: Capture
    ) -> None:
        faults = (
            ("/pypi/{}/json", "status-404", "its JSON is a 404, but its simple page has releases"),
            ("/simple/{}/", "status-404", "its simple page is a 404, its JSON is not"),
            ("{}", "stale", "the answers are older than the store"),
            ("/pypi/{}/json", "stale", "its JSON is older than its simple page"),
            ("/pypi/{}/json", "html", "project JSON"),
            ("/simple/{}/", "disconnect", "RemoteProtocolError"),
            ("{}", "status-403", "HTTP 403"),
        )
        spoiled = dict(zip(names[::2], faults, strict=True))  # never so many in a row that it is left alone
        replica.faults(
            [{"match": match.format(name), "fault": fault} for name, (match, fault, _) in spoiled.items()]
        )
        made = report(place, capsys, "--all")
        assert made["differences"] == []
        assert made["asked"] == len(names)
        said = {row["package"]: row["detail"] for row in made["unreachable"]}
        assert said.keys() == spoiled.keys()
        assert [name for name, (_, _, reason) in spoiled.items() if reason not in said[name]] == []

    def test_an_answer_that_is_too_large_or_late_is_none(
        self, place: Place, replica: Handle, names: list[str], capsys: Capture
    ) -> None:
        made = report(place, capsys, "--sample", "1", DOWNLOAD_MAXSIZE=1000)
        assert "larger than 1,000 bytes" in made["unreachable"][0]["detail"]
        replica.faults([{"match": "*", "fault": "slow", "delay": 1}])
        made = report(place, capsys, "--sample", "1", DOWNLOAD_TIMEOUT=0.2)
        assert "0.2 s" in made["unreachable"][0]["detail"]


class TestCompare:
    """The rules where the replica, as PyPI today, gives no cause."""

    @pytest.fixture
    def stored(self, place: Place, names: list[str]) -> StoredPackage:
        with place.store() as store:
            return next(p for p in store.load_packages(names) if len(p.project.files or {}) > 1)

    def test_releases_come_from_the_page_when_the_json_lists_none(self, stored: StoredPackage) -> None:
        """PyPI calls `releases` deprecated: the day it is gone, not every package may differ."""
        files = stored.project.files or {}
        page = SimplePage(
            stored.normalized_name,
            stored.serial,
            tuple(files),
            tuple(file for some in files.values() for file in some),
        )
        project = msgspec.structs.replace(stored.project, files=None)
        assert compare(stored, Said(project, page), None) == []
        fewer = msgspec.structs.replace(page, versions=page.versions[1:] if page.versions else ())
        assert [found.kind for found in compare(stored, Said(project, fewer), None)] == [Kind.RELEASES]

    def test_a_page_without_releases_at_the_same_serial(self, stored: StoredPackage) -> None:
        page = SimplePage(stored.normalized_name, stored.serial)
        assert [found.kind for found in compare(stored, Said(None, page), None)] == [Kind.RELEASES]

    def test_without_a_serial_nothing_is_said(self, stored: StoredPackage) -> None:
        project = msgspec.structs.replace(stored.project, serial=None)
        with pytest.raises(FetchError, match="no serial"):
            compare(stored, Said(project, SimplePage(stored.normalized_name)), None)

    def test_only_wanted_releases_must_be_stored(self, stored: StoredPackage) -> None:
        """A collection of the latest releases does not lack the older ones."""
        page = SimplePage(stored.normalized_name, stored.serial)
        bare = replace(stored, releases={})
        assert compare(bare, Said(stored.project, page), 1) == []
        assert [found.kind for found in compare(bare, Said(stored.project, page), None)] == [Kind.RELEASES]


class Stranger(BaseHTTPRequestHandler):
    """Answers as no PyPI does, each name in its own way."""

    def do_GET(self) -> None:
        name = self.path.split("/")[2]
        if name == "elsewhere":
            self.send_response(301)
            self.send_header("Location", "/pypi/other/json")
            self.end_headers()
            return
        packed = {"twice": "gzip, gzip", "brotli": "br"}.get(name)
        body = b'{"info": {"name": "other", "version": "1.0"}}'
        self.send_response(200)
        if packed:
            self.send_header("Content-Encoding", packed)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("elsewhere", "HTTP 301: it redirects"),
        ("twice", "packed in a way that was not asked for"),
        ("brotli", "packed in a way that was not asked for"),
        ("one", "the answer is about 'other'"),
    ],
)
async def test_what_answers_may_be_no_pypi(fresh: Place, name: str, reason: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            async with PyPI(fresh.settings(PYPI_URL=url)) as pypi:
                with pytest.raises(FetchError, match=reason):
                    await pypi.ask(name)
        finally:
            server.shutdown()
            thread.join()


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("", "which collection? use -p PROFILE or -c COLLECTION"),
            ("-p nope", "unknown profile 'nope'"),
            ("-p plone,django", "one profile at a time"),
            ("-p plone -c plone", "not both"),
            ("-p plone --sample 0", "--sample 0: give a number from 1"),
            ("-p plone --sample few", "invalid int value: 'few'"),
            ("-p plone --all --offline", "not allowed with argument --all"),
            ("-p plone --all --seed 3", "--seed chooses a sample"),
            ("-p plone plone.api", "unknown argument 'plone.api'"),
            ("-p plone --online", "unknown option '--online'"),
        ],
    )
    def test_bad_input_is_one_line(self, fresh: Place, capsys: Capture, arguments: str, message: str) -> None:
        assert run_in(fresh, "verify", *arguments.split()) == 2
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.err.startswith("scrapy verify: ")
        assert (printed.err.count("\n"), printed.out) == (1, "")
        assert not fresh.folder.exists()

    def test_nothing_crawled_is_one_line(self, fresh: Place, capsys: Capture) -> None:
        assert run_in(fresh, "verify", "-p", "plone") == 1
        printed = capsys.readouterr()
        assert printed.err == (
            f"scrapy verify: nothing was crawled for 'plone' in {fresh.folder}; "
            "begin with scrapy crawl pypi -a profile=plone\n"
        )
        assert run_in(fresh, "verify", "-c", "stack") == 1
        assert "-a collection=stack" in capsys.readouterr().err
        assert not fresh.folder.exists()

    def test_a_folder_that_cannot_be_used_is_not_a_fresh_one(self, fresh: Place, capsys: Capture) -> None:
        fresh.folder.write_text("")
        assert run_in(fresh, "verify", "-p", "plone") == 1
        assert capsys.readouterr().err == (
            f"scrapy verify: {fresh.folder}/store.sqlite cannot be read: Not a directory\n"
        )

    def test_a_collection_that_was_not_crawled_is_one_line(self, place: Place, capsys: Capture) -> None:
        assert run_in(place, "verify", "-p", "flask") == 1
        assert "begin with scrapy crawl pypi -a profile=flask" in capsys.readouterr().err

    def test_another_pypi_does_not_matter_offline(self, place: Place, capsys: Capture) -> None:
        assert report(place, capsys, "--offline", code=0, PYPI_URL="https://pypi.org")["differences"] == []
        assert run_in(place, "verify", "-p", "plone", PYPI_URL="https://pypi.org") == 2
        assert capsys.readouterr().err.count("\n") == 1

    def test_progress_is_shown_on_a_terminal(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert run_in(place, "verify", "-p", "plone", "--sample", "1") == 0
        assert "Asking PyPI" in terminal.getvalue()
        assert "Asking PyPI" not in capsys.readouterr().out
