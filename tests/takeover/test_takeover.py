"""`collections import` end to end: an index as pyf.aggregator made it, in a real Typesense, then a crawl.

If these fail, whoever comes from pyf.aggregator begins with nothing, or loses newer figures to older ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pyf_scrapy.commands.output import print_json
from pyf_scrapy.commands.takeover_output import MOST_SHOWN, print_takeover
from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import DownloadCounts, RepositoryRecord
from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.replica.downloads import Downloads
from pyf_scrapy.search.collections import ensure_collection
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.status import repository_report
from pyf_scrapy.store import DownloadFacts, RepositoryFacts
from pyf_scrapy.takeover import Report, take_over, takeover
from pyf_scrapy.takeover.parsing import UNREADABLE, Unused
from pyf_scrapy.takeover.takeover import Unusable
from tests.crawling import EmbeddedPlace, Place
from tests.github import github

from . import upstream
from .upstream import document

Capture = pytest.CaptureFixture[str]

OPTIONS = Options(projects=60, members={"plone": 12}, only_members=True, most_releases=3, empty=0, missing=0)
SOURCE = "packages1"
UPDATED = 1_780_000_000
ASKED = 1_785_000_000.5


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def members(replica: Handle) -> list[str]:
    return sorted(replica.replica.members("Framework :: Plone"))


def stars(name: str, number: int = 0, version: str = "1.0", **more: Any) -> dict[str, Any]:
    figures = {
        "github_stars": 100 + number,
        "github_watchers": 10,
        "github_open_issues": 30,
        "github_updated": UPDATED,
        "github_url": f"https://github.com/Old-Org/{name}",
    }
    return document(name, version, **(figures | more))


def downloads(name: str, number: int = 0, version: str = "2.0rc1", **more: Any) -> dict[str, Any]:
    figures = {
        "download_last_day": number,
        "download_last_week": 70,
        "download_last_month": 300,
        "download_updated": ASKED,
    }
    return document(name, version, **(figures | more))


def refused_documents() -> list[dict[str, Any]]:
    return [
        document("volto", registry="npm", npm_scope="plone", npm_final_score=0.5),
        document("@plone/components", registry="npm"),
        document("no such name"),
        document("", id="nameless"),
    ]


def old_index(place: Place, documents: list[dict[str, Any]], name: str = SOURCE) -> None:
    """A collection in the shape of pyf.aggregator, in the place's server; all documents are in it."""
    with place.connection() as connection:
        upstream.create(connection.client, name)
        upstream.fill(connection.client, name, documents)
        found = connection.client.api_call.get(f"/collections/{name}", dict[str, Any])
        assert found["num_documents"] == len(documents)


def imported(place: Place, source: str = SOURCE, **settings: Any) -> Report:
    told: list[tuple[str, int, int]] = []
    report = take_over(
        place.settings(**settings), source, int(time.time()), lambda *words: told.append(words)
    )
    assert told
    return report


async def crawled(place: Place) -> dict[str, dict[str, Any]]:
    """Latest documents by name after the next `pypi`."""
    await place.crawl("pypi", profile="plone")
    return {d["name_normalized"]: d for d in place.documents("plone").values() if d["is_latest"]}


async def test_all_figures_are_in_the_documents_of_the_next_crawl(place: Place, members: list[str]) -> None:
    first, second, third, *others = members
    spelled = first.replace("-", ".").upper()
    people = [{"username": "ann", "avatar_url": "https://avatars.example/1", "contributions": 5}]
    old_index(
        place,
        [
            document(first, "9.0", keywords=[], upload_timestamp=5),
            stars(spelled, 1, "0.1", contributors=people),
            downloads(first, 1),
            stars(second, 2, classifiers=["Framework :: Plone"], github_watchers=...),
            # What our schema would not take, and what is not there.
            downloads(third, 3, urls={"a": 1}, project_urls=5, github_stars=None, version_raw="", docs_url=7),
            *(document(name, extra={"deep": [None]}) for name in others),
            *refused_documents(),
            stars("odd", github_stars=-1, github_watchers=None, github_open_issues=None),
        ],
    )
    report = imported(place)
    assert (report.documents, report.packages, report.queued) == (len(members) + 7, 13, 13)
    assert (report.with_github, report.with_downloads, report.repositories) == (2, 2, 2)
    assert {one.id for one in report.refused.listed} == {d["id"] for d in refused_documents()}
    assert report.refused.count == 4
    assert [one.reason for one in report.unusable_figures.listed] == ["github_stars is no count"]
    with place.store() as store:
        assert [row.normalized_name for row in store.queued()] == sorted([*members, "odd"])
        assert {row.source for row in store.queued()} == {"collections import"}

    found = await crawled(place)
    assert set(found) == set(members)
    assert shown(found[first], "github_") == {
        "github_stars": 101,
        "github_watchers": 10,
        "github_open_issues": 30,
        "github_updated": UPDATED,
        "github_url": f"https://github.com/Old-Org/{spelled}",
        "github_proof": "claimed",
    }
    assert found[first]["contributors"] == people
    assert found[first]["download_last_day"] == 1
    assert found[second]["github_stars"] == 102
    assert "github_watchers" not in found[second], "what is not known is not invented"
    assert shown(found[third], "download_last") == {
        "download_last_day": 3,
        "download_last_week": 70,
        "download_last_month": 300,
    }
    assert found[third]["download_updated"] == int(ASKED) // 86_400 * 86_400 - 86_400
    assert found[third]["download_source"] == "pypistats"
    rules = found[first]["health_score_breakdown"]
    assert not [rule for rule in rules if str(rule).startswith("github_") and rules[rule]], "only claimed"


def shown(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name.startswith(prefix)}


async def test_the_next_pypi_begins_with_these_names(
    place: Place, replica: Handle, members: list[str]
) -> None:
    wanted = members[5:8]
    old_index(place, [document(name) for name in wanted])
    imported(place)
    replica.reset()
    await place.crawl("pypi", profile="plone", limit="3")
    asked = replica.statistics(paths=True)["paths"]
    assert {path.split("/")[2] for path in asked if path.startswith("/pypi/")} == set(wanted)


async def test_of_stored_packages_the_figures_are_shown_and_nothing_is_asked_again(
    place: Place, members: list[str]
) -> None:
    await crawled(place)
    old_index(place, [stars(members[0]), downloads(members[0])])
    report = imported(place)
    assert (report.packages, report.queued) == (1, 0)
    document = (await crawled(place))[members[0]]
    assert (document["github_stars"], document["download_last_week"]) == (100, 70)


async def test_whatever_was_asked_here_is_newer(place: Place, members: list[str]) -> None:
    await crawled(place)
    name = members[0]
    key = f"github.com/old-org/{name}"
    record = RepositoryRecord("R", "Old-Org", name, stars=7)
    with place.store() as store:
        store.save_downloads([DownloadFacts(name, "pypistats", 1000, DownloadCounts("pypistats", 0, 8))])
        store.save_repositories([RepositoryFacts(key, "ok", 1000, record=record)])
    old_index(place, [stars(name), downloads(name)])
    imported(place)
    document = (await crawled(place))[name]
    assert (document["github_stars"], document["download_last_day"]) == (7, 8)


async def test_services_are_asked_at_once_and_their_answers_take_their_place(
    place: Place, replica: Handle, members: list[str]
) -> None:
    """Else old figures would stand for a day as if they were of today."""
    replica.services(pypistats_limits=False)
    repositories = {name: replica.replica.repositories.of_project(name) for name in members}
    name, truth = next((n, one) for n, one in repositories.items() if one and not one.state and not one.empty)
    of_it = f"https://github.com/{truth.full_name}"
    old_index(place, [stars(name, 10**6, github_url=of_it), downloads(name, download_total=10**9)])
    imported(place)
    assert (await crawled(place))[name]["github_stars"] == 10**6 + 100
    assert repository_report(place.values).checked == 0, "nobody looked here"
    await place.crawl("github", profile="plone", settings=github(place))
    await place.crawl("pypistats", profile="plone", settings=pypistats(replica))
    document = (await crawled(place))[name]
    assert document["download_last_month"] == Downloads(replica.replica).total(name, 30)
    assert "download_total" not in document, "figures of two moments never mix"
    assert document["github_stars"] == truth.stars
    assert document["github_updated"] != UPDATED


def pypistats(replica: Handle) -> dict[str, Any]:
    return {"PYPISTATS_URL": replica.pypistats_url, "PYPISTATS_RATE_LIMIT_DELAY": 0}


def test_one_that_gives_no_answer_shows_what_was_taken_over(place: Place) -> None:
    with place.store() as store:
        store.save_repositories([RepositoryFacts("github.com/old-org/a", "unavailable", 1000)])
        old_index(place, [stars("a")])
        imported(place)
        (facts,) = store.repositories(["github.com/old-org/a"]).values()
    assert (facts.state, facts.fetched_at) == ("unavailable", 1000)
    assert facts.record is not None
    assert facts.record.stars == 100


def test_an_older_copy_of_an_index_takes_nothing_back(place: Place) -> None:
    """Of several collections each may be imported, in any order, and each as often as one likes."""
    old_index(place, [stars("a", 1), downloads("a", 1), stars("moved")])
    old_index(
        place,
        [
            stars("a", 2, github_updated=UPDATED - 9),
            downloads("a", 2, download_updated=ASKED - 10**6),
            stars("b"),
            stars("moved", github_updated=UPDATED - 9, github_url="https://github.com/Older-Org/moved"),
        ],
        "packages2",
    )
    for source in ("packages2", SOURCE):
        imported(place, source)
    with place.store() as store:
        assert store.links(["moved"])["moved"].key == "github.com/old-org/moved", "the newer one"
    for source in (SOURCE, "packages2"):
        imported(place, source)
    with place.store() as store:
        facts = store.repositories(["github.com/old-org/a"])["github.com/old-org/a"]
        assert facts.record is not None
        assert facts.record.stars == 101
        links = store.links(["a", "b", "moved"])
        assert links["a"].proof is Proof.CLAIMED
        assert links["moved"].key == "github.com/old-org/moved", "nothing was taken back"
        assert [row.normalized_name for row in store.queued()] == ["a", "b", "moved"]


class TestSource:
    def test_another_server_than_ours(self, place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
        """That of a new installation is empty: what is to be taken over is on the old one."""
        old_index(place, [stars("a")])
        with place.connection() as connection:
            alias = {"collection_name": SOURCE}
            connection.client.api_call.put("/aliases/packages", dict[str, Any], body=alias)
        new = EmbeddedPlace(tmp_path_factory.mktemp("new"), place.pypi_url)
        report = imported(new, "packages", **other(place.server))
        assert (report.collection, report.packages) == (SOURCE, 1)
        assert report.server == f"http://{place.server.host}:{place.server.port}"
        assert not (new.folder / "typesense").exists(), "ours is not started"

    def test_is_only_read(self, place: Place) -> None:
        old_index(place, [stars("a"), *refused_documents()])
        before = everything(place)
        imported(place)
        assert everything(place) == before

    def test_that_is_not_there_is_named_with_what_is(self, place: Place, tmp_path: Any) -> None:
        old_index(place, [])
        with pytest.raises(UsageProblem, match=r"no collection 'plone', but packages1; .*IMPORT_TYPESENSE_"):
            imported(place, "plone")
        with pytest.raises(UsageProblem, match=r"no collection 'plone', but packages1$"):
            imported(place, "plone", **other(place.server))
        new = EmbeddedPlace(tmp_path / "new", place.pypi_url)
        with pytest.raises(UsageProblem, match=r"no collection 'plone', nor any other; for another "):
            imported(new, "plone")
        assert not new.folder.exists()

    def test_the_server_that_starts_by_itself_is_not_called_by_our_word_for_it(self, tmp_path: Any) -> None:
        new = EmbeddedPlace(tmp_path / "new", "http://127.0.0.1:1")
        (new.folder / "typesense").mkdir(parents=True)
        with pytest.raises(UsageProblem, match=r"^the search server of this folder has no collection"):
            imported(new, "plone", TYPESENSE_LINGER=0)

    def test_one_hostile_document_is_refused_alone(self, place: Place) -> None:
        """Else nobody could take over an index that somebody else may write to."""
        old_index(place, [stars("a")])
        deep = json.dumps(document("deep", "1.0", github_url=0)).replace(
            '"github_url": 0', f'"github_url": {"[" * 3_000}{"]" * 3_000}'
        )
        with place.connection() as connection:
            answer = connection.client.api_call.post(
                f"/collections/{SOURCE}/documents/import", str, as_json=False, body=deep
            )
        assert json.loads(answer)["success"]
        report = imported(place)
        assert (report.documents, report.packages) == (2, 1)
        assert report.refused.listed == [Unused("deep-1.0", UNREADABLE)]

    def test_of_ours_is_refused(self, place: Place) -> None:
        with place.connection() as connection:
            ensure_collection(connection.client, "plone")
        with pytest.raises(UsageProblem, match="'plone' was filled by pyf_scrapy"):
            imported(place, "plone")

    def test_that_does_not_answer_or_take_the_key_is_named_by_its_settings(self, place: Place) -> None:
        refused = {**other(place.server), "IMPORT_TYPESENSE_API_KEY": "wrong"}
        with pytest.raises(SearchError, match="refuses the key in IMPORT_TYPESENSE_API_KEY"):
            imported(place, SOURCE, **refused)
        with pytest.raises(SearchError, match=r"cannot be reached .*: check IMPORT_TYPESENSE_HOST and IM"):
            imported(place, SOURCE, **{**refused, "IMPORT_TYPESENSE_PORT": 1})
        with pytest.raises(UsageProblem, match="IMPORT_TYPESENSE_HOST is set but IMPORT_TYPESENSE_API_KEY"):
            imported(place, SOURCE, IMPORT_TYPESENSE_HOST="127.0.0.1")


def other(server: Server) -> dict[str, Any]:
    return {
        "IMPORT_TYPESENSE_HOST": server.host,
        "IMPORT_TYPESENSE_PORT": server.port,
        "IMPORT_TYPESENSE_API_KEY": server.api_key,
    }


def everything(place: Place) -> tuple[Any, str]:
    with place.connection() as connection:
        calls = connection.client.api_call
        export = calls.get(f"/collections/{SOURCE}/documents/export", str, as_json=False)
        return calls.get("/collections", list[dict[str, Any]]), "\n".join(sorted(export.split("\n")))


class TestReport:
    def test_for_people(self, place: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        many = [document(f"@plone/{n:02}", registry="npm") for n in range(MOST_SHOWN + 3)]
        odd = [document("not a name"), stars("b", id="b\x1b[31m", github_stars=-1)]
        old_index(place, [stars("a"), *many, *odd])
        print_takeover(imported(place), "scrapy crawl pypi -p plone")
        text = capsys.readouterr().out
        lines = [" ".join(line.split()) for line in text.splitlines()]
        assert f"documents refused {len(many) + 1}" in lines
        assert f"npm packages are not indexed {len(many)}" in lines
        first = lines.index("document reason") + 2
        assert lines[first] == "not a name-1.0 no project can have this name (PEP 508)", "the rare ones first"
        assert lines[first + 1] == "@plone/00-1.0 npm packages are not indexed"
        assert lines[first + MOST_SHOWN] == "... and 4 more; --json lists all"
        assert "b github_stars is no count" in lines
        assert text.endswith("\nNext: scrapy crawl pypi -p plone\n")
        assert "\x1b" not in text

    def test_of_nothing(self, place: Place, capsys: Capture) -> None:
        old_index(place, [])
        print_takeover(imported(place), "scrapy crawl pypi")
        assert capsys.readouterr().out.endswith("Nothing was taken over.\n")

    def test_for_scripts_lists_all(self, place: Place, capsys: Capture) -> None:
        many = [document(f"@plone/{n:02}", registry="npm") for n in range(MOST_SHOWN + 3)]
        old_index(place, [stars("a"), *many])
        print_json(imported(place))
        printed = json.loads(capsys.readouterr().out)
        assert printed["refused"]["count"] == len(printed["refused"]["listed"]) == len(many)
        assert printed["refused"]["listed"][0]["reason"] == "npm packages are not indexed"
        assert printed["refused"]["reasons"] == {"npm packages are not indexed": len(many)}
        assert {name: printed[name] for name in ("packages", "with_github", "with_downloads", "queued")} == {
            "packages": 1,
            "with_github": 1,
            "with_downloads": 0,
            "queued": 1,
        }

    def test_a_hostile_index_does_not_fill_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(takeover, "MOST_LISTED", 2)
        unusable = Unusable()
        unusable.add([Unused(str(n), "why") for n in range(5)])
        assert (unusable.count, len(unusable.listed), unusable.reasons["why"]) == (5, 2, 5)
