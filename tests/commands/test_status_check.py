"""`scrapy status` as the proof that nothing is missing and nothing is old; `--check` wakes somebody up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.status import Overview, overview
from pyf_scrapy.store import VANISHED, Check, FeedState, Store, Verified
from pyf_scrapy.store.index_file import IndexFile
from tests.commands.world import run_in
from tests.crawling import Place
from tests.store.samples import PLONE, facts

Capture = pytest.CaptureFixture[str]

NOW = 1_700_000_000  # the command's clock is years later
HOUR = 3600
MEMBERS = ("plone-a", "plone-b", "plone-c", "plone-d")
OTHERS = ("other-a", "other-b")
DJANGO = ("Framework :: Django",)
OFF = {"STATUS_MAX_FEEDS_LAG": 0, "STATUS_MAX_INDEX_LAG": 0, "STATUS_MAX_REFRESH_LAG": 0}


def write_index(place: Place, serials: Mapping[str, int | None], *, serial: int, at: int) -> None:
    IndexFile(place.folder / "index").write(
        ((name, name, number) for name, number in serials.items()),
        etag=None,
        last_serial=serial,
        written_at=at,
    )


def open_collection(store: Store, profile: Profile) -> None:
    definition = profile.definition()
    store.open_collection(profile.collection, definition, None, f"{profile.collection}-1", 1, "server")


def send(store: Store, collection: str, names: Iterable[str]) -> None:
    """Note that the collection has these packages."""
    revisions = store.revisions(names)
    store.finish_index(collection, [(name, revisions[name], {f"{name}==1.0": b"x"}) for name in names])


@pytest.fixture
def done(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder in which everything was fetched and indexed by `NOW`, with every lane in time."""
    monkeypatch.setenv("COLUMNS", "80")
    with fresh.store() as store:
        open_collection(store, load_profiles()["plone"])
        store.save_packages([facts("1.0", name=name, at=NOW) for name in MEMBERS])
        store.record_checks([Check(name, name, 10, (), at=NOW) for name in OTHERS])
        send(store, "plone", MEMBERS)
        store.note_index(10, NOW - HOUR, 6)
        for path, at in (("updates", NOW - 300), ("packages", NOW - 200)):
            store.save_feed(FeedState(f"{fresh.pypi_url}/rss/{path}.xml", None, None, at))
        store.save_verified([Verified(name, NOW - hours * HOUR, None) for hours, name in enumerate(MEMBERS)])
    write_index(fresh, dict.fromkeys((*MEMBERS, *OTHERS), 10), serial=10, at=NOW - HOUR)
    (fresh.folder / "typesense").mkdir()
    return fresh


def look(place: Place, collection: str | None = None) -> Overview:
    return overview(place.settings(), now=NOW, collection=collection)


def missed(found: Overview) -> list[str]:
    return [check.name for check in found.checks if not check.ok]


class TestCoverage:
    def test_all_is_checked_and_indexed(self, done: Place) -> None:
        found = look(done)
        (plone,) = found.collections
        assert (found.checked, found.listed, found.oldest_unchecked_change) == (6, 6, 0)
        assert (plone.matching, plone.members, plone.indexed, plone.waiting) == (4, 4, 4, 0)
        assert missed(found) == []

    def test_an_index_that_is_lost_is_not_well(self, done: Place) -> None:
        """The store knows what was sent; users search what is there."""
        (done.folder / "typesense").rmdir()
        assert missed(look(done)) == ["search:plone"]
        done.extra["TYPESENSE_HOST"] = "127.0.0.1"
        done.extra["TYPESENSE_PORT"] = 9
        assert missed(look(done)) == ["search:plone"]

    def test_a_change_is_as_old_as_the_index_that_first_told_of_it(self, done: Place) -> None:
        """Not as young as the last index that still tells of it, nor as old as PyPI's last change."""
        with done.store() as store:
            store.note_index(20, NOW - 3 * HOUR, 6)
            store.note_index(30, NOW - 600, 6)
        everything = dict.fromkeys((*MEMBERS, *OTHERS), 10)
        write_index(done, everything | {"plone-a": 15, "other-b": 25}, serial=30, at=NOW - 600)
        found = look(done)
        assert (found.checked, found.oldest_unchecked_change) == (4, 3 * HOUR)
        assert missed(found) == ["coverage", "unchecked"]
        with done.store() as store:  # the elder one is fetched
            store.save_packages([facts("1.1", name="plone-a", serial=15)])
        found = look(done)
        assert (found.checked, found.oldest_unchecked_change) == (5, 600)
        assert missed(found) == ["coverage", "indexed:plone"]

    def test_what_a_feed_hastened_is_checked_although_the_index_is_older(self, done: Place) -> None:
        with done.store() as store:
            store.record_checks([Check("other-a", "other-a", 99, (), at=NOW)])
        found = look(done)
        assert (found.checked, found.oldest_unchecked_change) == (6, 0)

    def test_an_index_read_by_an_older_version_counts_from_its_own_time(self, fresh: Place) -> None:
        fresh.store().close()
        write_index(fresh, {"new": 5}, serial=5, at=NOW - HOUR)
        found = look(fresh)
        assert (found.oldest_unchecked_change, found.lanes.index) == (HOUR, HOUR)

    def test_a_project_without_serial_is_never_checked_and_has_no_age(self, done: Place) -> None:
        serials = {**dict.fromkeys((*MEMBERS, *OTHERS), 10), "other-a": None}
        write_index(done, serials, serial=10, at=NOW - HOUR)
        found = look(done)
        assert (found.checked, found.oldest_unchecked_change) == (5, 0)

    def test_what_another_profile_looked_at_is_not_indexed_here(self, done: Place) -> None:
        """Each project's serial was seen, and yet the index lacks one package and has an old one."""
        with done.store() as store:
            open_collection(store, load_profiles()["django"])
            store.record_checks(
                [
                    Check("plone-a", "plone-a", 20, PLONE, at=NOW),
                    Check("other-a", "other-a", 20, PLONE, at=NOW),
                    Check("other-b", "other-b", 20, DJANGO, at=NOW),
                ]
            )
        found = look(done)
        assert found.checked == found.listed
        django, plone = found.collections
        assert (plone.matching, plone.members, plone.indexed) == (5, 4, 3)
        assert (django.matching, django.members, django.indexed) == (1, 0, 0)
        assert missed(found) == ["indexed:django", "indexed:plone"]
        assert missed(look(done, "plone")) == ["indexed:plone"]

    def test_an_index_that_lost_its_documents_is_no_coverage(self, done: Place) -> None:
        with done.store() as store:
            definition = load_profiles()["plone"].definition()
            store.open_collection("plone", definition, None, "plone-2", 2, "another server", present={})
        found = look(done)
        assert (found.collections[0].indexed, found.collections[0].waiting) == (0, 4)
        assert missed(found) == ["indexed:plone"]

    def test_vanished_packages_are_counted(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status") == 0
        assert "\nvanished " not in capsys.readouterr().out
        with done.store() as store:
            store.record_checks([Check("plone-a", "plone-a", 10, (), status=VANISHED, at=NOW)])
        assert look(done).vanished == 1
        assert run_in(done, "status") == 0
        assert "\nvanished   1 package" in capsys.readouterr().out


class TestLanes:
    def test_each_lane_is_as_late_as_its_latest_part(self, done: Place) -> None:
        lanes = look(done).lanes
        assert (lanes.feeds, lanes.index, lanes.refresh, lanes.never_verified) == (300, HOUR, 3 * HOUR, 0)
        with done.store() as store:
            store.note_index(10, NOW - 60, 6)  # the same index, still good
            store.save_packages([facts("1.0", name="plone-new")])
        lanes = look(done).lanes
        assert (lanes.index, lanes.refresh, lanes.never_verified) == (60, 3 * HOUR, 1)

    def test_one_collection_is_not_late_because_of_another(self, done: Place) -> None:
        with done.store() as store:
            open_collection(store, load_profiles()["django"])
            store.save_packages([facts("1.0", name="django-a", classifiers=DJANGO)])
            store.save_verified([Verified("django-a", NOW - 90 * HOUR, None)])
        assert look(done, "plone").lanes.refresh == 3 * HOUR
        assert look(done).lanes.refresh == 90 * HOUR

    def test_a_lane_that_never_ran_is_not_judged(self, done: Place) -> None:
        bare = replace(done, folder=done.folder.with_name("bare"))
        with bare.store() as store:
            store.note_index(10, NOW, 1)
            store.record_checks([Check("other-a", "other-a", 10, (), at=NOW)])
        write_index(bare, {"other-a": 10}, serial=10, at=NOW)
        found = look(bare)
        assert (found.lanes.feeds, found.lanes.refresh) == (None, None)
        assert missed(found) == []


class TestPage:
    def test_it_says_what_the_issue_asks_for(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status", "-p", "plone") == 0
        printed = capsys.readouterr().out
        assert all(len(line) <= 80 for line in printed.splitlines())
        assert (
            "plone checked 6 of 6 at serial 10; 4 match; 4 indexed; oldest unchecked change: 0 s"
            in " ".join(printed.split())
        )
        facts = dict(line.split(maxsplit=1) for line in printed.splitlines() if len(line.split()) > 1)
        assert facts["lag"].startswith("feeds ")
        assert ", index " in facts["lag"]
        assert ", refresh " in facts["lag"]

    def test_a_fresh_store_has_no_lanes(self, fresh: Place, capsys: Capture) -> None:
        with fresh.store() as store:
            open_collection(store, load_profiles()["plone"])
        assert run_in(fresh, "status") == 0
        printed = capsys.readouterr().out
        assert "lag        feeds never, index never, refresh never" in printed
        assert "plone  index not read yet; 0 match; 0 indexed" in printed

    def test_json_has_the_lanes_and_the_checks(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["lanes"].keys() == {"feeds", "index", "refresh", "never_verified"}
        assert [check["name"] for check in found["checks"]] == [
            "coverage",
            "indexed:plone",
            "feeds",
            "index",
            "unchecked",
            "refresh",
        ]
        assert found["checks"][0] == {"name": "coverage", "value": 1.0, "limit": 0.999, "ok": True}


class TestCheck:
    """The lags are of years, because the command has the clock of now."""

    def test_all_is_well(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status", "--check", **OFF) == 0
        assert capsys.readouterr().out.endswith("\nAll limits are kept.\n")

    def test_every_missed_limit_is_named_with_a_remedy(self, done: Place, capsys: Capture) -> None:
        with done.store() as store:
            store.save_packages([facts("1.1", name="plone-a", serial=11)])
        write_index(done, {"plone-a": 11, "other-a": 10, "new": 11}, serial=11, at=NOW)
        tight = {"STATUS_MAX_FEEDS_LAG": 60, "STATUS_MAX_INDEX_LAG": 1.0, "STATUS_MAX_REFRESH_LAG": 5}
        assert run_in(done, "status", "--check", "-p", "plone", **tight) == 1
        printed = capsys.readouterr().out
        assert all(len(line) <= 80 for line in printed.splitlines())
        table = printed.partition("\nlimit missed ")[2].splitlines()[2:]
        rows = {line.split()[0]: line for line in table if not line.startswith(" ")}
        assert list(rows) == ["coverage", "indexed:plone", "feeds", "index", "unchecked", "refresh"]
        assert " ".join(rows["coverage"].split()) == (
            "coverage 66.666 % 99.9 % scrapy crawl pypi -a profile=plone"
        )
        assert rows["indexed:plone"].split()[1:3] == ["75", "%"]
        assert rows["feeds"].endswith("60 s    scrapy crawl rss -a profile=plone")
        assert rows["index"].endswith(" 1 s     scrapy crawl pypi -a profile=plone")
        assert "  5 s     scrapy crawl project -a refresh=1 -a" in rows["refresh"]

    def test_without_check_it_is_no_error(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status") == 0
        assert "limit missed" not in capsys.readouterr().out

    def test_scripts_get_the_exit_code_with_the_json(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status", "--check", "--json", STATUS_MAX_INDEX_LAG=1) == 1
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        assert checks["index"]["ok"] is False
        assert checks["index"]["value"] > 1
        assert run_in(done, "status", "--check", "--json", **OFF) == 0

    def test_a_collection_of_ones_own_is_helped_by_name(self, done: Place, capsys: Capture) -> None:
        with done.store() as store:
            open_collection(store, Profile(key="stack", name="stack", include=("plone-a",)))
        assert run_in(done, "status", "--check", **OFF) == 1
        printed = capsys.readouterr().out
        assert "indexed:stack" in printed
        assert "scrapy crawl project -a refresh=1 -a collection=stack" in " ".join(printed.split())

    def test_nothing_crawled_is_nothing_well(self, fresh: Place, done: Place, capsys: Capture) -> None:
        empty = replace(fresh, folder=fresh.folder.with_name("empty"))
        assert run_in(empty, "status", "--check", **OFF, STATUS_MIN_COVERAGE=0) == 1
        assert run_in(empty, "status", "--check", "--json", **OFF, STATUS_MIN_COVERAGE=0) == 1
        assert not empty.folder.exists()
        capsys.readouterr()
        assert run_in(done, "status", "--check", "-p", "flask", **OFF) == 1
        assert "scrapy crawl pypi -a profile=flask" in capsys.readouterr().out.splitlines()[-1]

    def test_a_limit_that_is_none_is_bad_input(self, done: Place, capsys: Capture) -> None:
        assert run_in(done, "status", STATUS_MIN_COVERAGE="99.9") == 2
        assert capsys.readouterr().err.startswith("scrapy status: STATUS_MIN_COVERAGE='99.9' must be ")
