"""`scrapy queue`: what somebody asks for is queued or refused with a reason; a purge says what it takes."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.store import Check, Failure, Store
from pyf_scrapy.store.index_file import IndexFile
from tests.commands.world import Run, World, run_in
from tests.crawling import Place
from tests.queue.conftest import socket_folder, valkey
from tests.queue.valkey import Valkey

Capture = pytest.CaptureFixture[str]

__all__ = ["socket_folder", "valkey"]  # fixtures


def queued(place: Place) -> list[str]:
    with place.store() as store:
        return [row.normalized_name for row in store.queued()]


def open_plone(store: Store) -> None:
    store.open_collection("plone", load_profiles()["plone"].definition(), None, "plone-1", 1, "server")


class TestAdd:
    def test_names_in_any_spelling_are_queued_once(self, fresh: Place, capsys: Capture) -> None:
        assert run_in(fresh, "queue", "add", "Plone.API", "plone_api", "zope") == 0
        assert queued(fresh) == ["plone-api", "zope"]
        assert capsys.readouterr().out == (
            "2 added. 2 wait for the next crawl, which asks about them first:\n"
            "  scrapy crawl pypi -a profile=PROFILE\n"
        )
        with fresh.store() as store:
            open_plone(store)
        assert run_in(fresh, "queue", "add", "zope", "django", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "added": 1,
            "named": 2,
            "queued": 3,
            "workers": 0,
            "crawl": "scrapy crawl pypi -a profile=plone",
        }

    def test_names_of_standard_input_and_of_a_file(
        self, fresh: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "requirements.txt"
        file.write_text("Zope[extra]>=5; python_version > '3'\n-e .\n")
        monkeypatch.setattr("sys.stdin", io.StringIO("one\n\n# a remark\n Two  # another\n"))
        assert run_in(fresh, "queue", "add", "-", "--requirements", str(file), "one") == 0
        assert queued(fresh) == ["one", "two", "zope"]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["plone.api", "../etc"], "'../etc' is not a package name"),
            (["a" * 256], "is not a package name"),
            ([], "which packages?"),
            (["--nope", "a"], "unknown option '--nope'"),
            (["--requirements", "/nowhere", "a"], "cannot read /nowhere"),
            (["-"], "standard input names no package"),
        ],
    )
    def test_a_wrong_name_is_named_and_nothing_is_queued(
        self,
        fresh: Place,
        capsys: Capture,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        told: str,
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
        assert run_in(fresh, "queue", "add", *arguments) == 2
        assert told in capsys.readouterr().err
        assert not fresh.folder.exists()

    def test_a_stream_that_is_no_list_of_names_is_refused(
        self, fresh: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pyf_scrapy.commands.queue._MOST_CHARACTERS", 10)
        for stream, told in ((b"\xff\n", "is not text"), (b"name\n" * 3, "longer than 10 characters")):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stream), encoding="utf-8"))
            assert run_in(fresh, "queue", "add", "-") == 2
            assert told in capsys.readouterr().err
        assert not fresh.folder.exists()


@pytest.fixture
def busy(fresh: Place) -> Place:
    """A folder with something of everything: 2 names queued, 3 of 5 projects to check, a failure now, one
    later, a package to be indexed, and marks of feeds."""
    now = int(time.time())
    names = [f"name-{number}" for number in range(5)]
    with fresh.store() as store:
        store.enqueue(["a"], 1_800_000_000, "queue add")
        store.enqueue(["b"], 1_800_000_060, "collections import")
        store.record_checks([Check(name, name, 7, ()) for name in names[:2]])
        store.record_failures(
            [Failure("c", "project", "HTTP 500", now), Failure("d", "description", "x", now)]
        )
        open_plone(store)
        store.mark_seen({"pyf:dedup:new:x": now + 1000, "pyf:dedup:new:y": now + 1000})
    IndexFile(fresh.folder / "index").write(
        ((name, name, 7) for name in names), etag=None, last_serial=7, written_at=1_800_000_000
    )
    return fresh


class TestStats:
    def test_what_waits_is_counted(self, busy: Place, capsys: Capture) -> None:
        assert run_in(busy, "queue", "stats", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found == {
            "folder": str(busy.folder),
            "queued": 2,
            "oldest_at": 1_800_000_000,
            "by_source": [
                {"source": "queue add", "names": 1, "oldest_at": 1_800_000_000},
                {"source": "collections import", "names": 1, "oldest_at": 1_800_000_060},
            ],
            "to_check": 3,
            "index_read_at": 1_800_000_000,
            "dirty": {"plone": 0},
            "failures": 1,
            "postponed": 1,
            "running": [],
            "seen": 2,
            "redis": None,
        }

    def test_the_page_says_the_same(self, busy: Place, capsys: Capture) -> None:
        assert run_in(busy, "queue", "stats") == 0
        printed = " ".join(capsys.readouterr().out.split())
        for text in (
            "added by name 2, the oldest since 2027-01-15 08:00 UTC",
            "added by queue add: 1, collections import: 1",
            "to check 3 projects of the index of 2027-01-15 08:00 UTC",
            "to index in plone 0 packages",
            "to try again 1 failures, 1 later",
            "feeds 2 entries are done",
            "No spider runs here.",
        ):
            assert text in printed

    def test_who_is_at_work_and_since_when(self, busy: Place, capsys: Capture) -> None:
        with busy.store() as store:
            store.finish_run(store.start_run("rss", {}, 1_700_000_000), "finished", 0, {}, 1_700_000_001)
            store.start_run("project", {}, 1_700_000_000)  # killed
            store.start_run("pypi", {"profile": "plone"}, int(time.time()) - 3600)
        with busy.running("pypi", "rss"):
            assert run_in(busy, "queue", "stats", "--json") == 0
            (work,) = json.loads(capsys.readouterr().out)["running"]
            assert (work["spider"], work["arguments"]) == ("pypi", {"profile": "plone"})
            assert 3600 <= work["seconds"] < 3700
            assert run_in(busy, "queue", "stats") == 0
            assert "pypi profile=plone 20" in " ".join(capsys.readouterr().out.split())

    def test_a_fresh_folder_stays_fresh(self, fresh: Place, capsys: Capture) -> None:
        assert run_in(fresh, "queue", "stats") == 0
        assert "was not read yet" in capsys.readouterr().out
        assert run_in(fresh, "queue", "purge", "--yes") == 0
        assert capsys.readouterr().out == "Nothing waits.\n"
        assert not fresh.folder.exists()

    def test_of_a_crawled_folder_what_failed_is_left(self, run: Run, world: World, capsys: Capture) -> None:
        assert run("queue", "stats", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["to_check"] == found["failures"] == len(world.broken)
        assert found["dirty"] == {"django": 0, "plone": 0}

    def test_with_redis_its_keys_are_shown(self, busy: Place, valkey: Valkey, capsys: Capture) -> None:
        with valkey.client() as client:
            client.zadd("pypi:requests", {"a": 1})
            client.set("pyf:dedup:new:z", 1)
        assert run_in(busy, "queue", "stats", "--json", REDIS_URL=valkey.url) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["seen"] == 1
        assert found["redis"]["keys"] == {"pypi:requests": 1}
        assert "unix://" in found["redis"]["server"]
        assert run_in(busy, "queue", "stats", REDIS_URL=valkey.url) == 0
        printed = capsys.readouterr().out
        assert "pypi:requests" in printed
        assert "1 entries are done (in Redis)" in printed

    def test_a_redis_that_is_gone_is_one_line(self, busy: Place, capsys: Capture) -> None:
        for action in (["stats"], ["purge", "--yes"]):
            assert run_in(busy, "queue", *action, REDIS_URL="redis://:secret@127.0.0.1:1/0") == 1
            complaint = capsys.readouterr().err
            assert complaint.startswith("scrapy queue: Redis at redis://127.0.0.1:1/0 cannot be used")
            assert complaint.count("\n") == 1
            assert "secret" not in complaint
        assert queued(busy) == ["a", "b"]


class TestPurge:
    def test_it_asks_and_says_what_it_takes(self, busy: Place, capsys: Capture) -> None:
        assert run_in(busy, "queue", "purge") == 2
        complaint = capsys.readouterr().err
        assert "Forget 2 names that were added?" in complaint
        assert "--yes" in complaint
        assert queued(busy) == ["a", "b"]

    def test_names_go_and_what_the_feeds_did_stays(self, busy: Place, capsys: Capture) -> None:
        assert run_in(busy, "queue", "purge", "--yes") == 0
        printed = capsys.readouterr().out
        assert printed.startswith("Forgotten: 2 names that were added.\nNot lost: what PyPI's index ")
        assert "Lost are the other names: " in printed
        assert queued(busy) == []
        assert run_in(busy, "queue", "purge", "--yes", "--seen") == 0
        printed = capsys.readouterr().out
        assert printed.startswith("Forgotten: 2 entries of the feeds that are done.\nNo work is lost: ")
        assert run_in(busy, "queue", "purge", "--yes", "--seen", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"names": 0, "requests": 0, "seen": 0}

    def test_with_redis_the_requests_go_too(self, busy: Place, valkey: Valkey, capsys: Capture) -> None:
        with valkey.client() as client:
            client.zadd("pypi:requests", {"a": 1, "b": 2})
            client.set("pyf:dedup:new:z", 1)
            assert run_in(busy, "queue", "purge", "--yes", REDIS_URL=valkey.url) == 0
            told = "Forgotten: 2 names that were added and 2 requests that wait in Redis."
            assert capsys.readouterr().out.startswith(told)
            assert client.keys() == ["pyf:dedup:new:z"]
            assert run_in(busy, "queue", "purge", "--yes", "--seen", REDIS_URL=valkey.url) == 0
            assert "Forgotten: 1 entry of the feeds that is done." in capsys.readouterr().out
            assert client.keys() == []
        with busy.store() as store:
            assert store.count_seen(0) == 2, "those of the store are not those that count"

    def test_no_is_no(self, busy: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = io.StringIO("n\n")
        monkeypatch.setattr(answers, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", answers)
        assert run_in(busy, "queue", "purge") == 0
        assert capsys.readouterr().out == "Nothing was forgotten.\n"
        assert queued(busy) == ["a", "b"]
