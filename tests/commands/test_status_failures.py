"""A package that failed must not be lost: it is named with its reason, and tried again when one says so."""

from __future__ import annotations

import json
import time

import pytest

from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.store import Failure
from tests.commands.world import run_in
from tests.crawling import Place

Capture = pytest.CaptureFixture[str]

FIRST = 1_700_000_000  # 2023-11-14 22:13
LAST = FIRST + 7200
LONG = "not JSON: " + "garbage " * 40


@pytest.fixture
def failed(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Two packages failed, one of them at two stages; the README of the other waits for its time."""
    monkeypatch.setenv("COLUMNS", "80")
    with fresh.store() as store:
        profile = load_profiles()["plone"]
        store.open_collection("plone", profile.definition(), None, "plone-1", 1, "server")
        for at in (FIRST, LAST):
            store.record_failures([Failure("plone-a", "project", LONG, at)])
        store.record_failures([Failure("plone-a", "stale", "the answer is older than the index", LAST)])
        store.record_failures([Failure("plone-b", "description", "it took too long", int(time.time()))])
    return fresh


def next_tries(place: Place) -> dict[tuple[str, str], int]:
    with place.store() as store:
        return {(row.normalized_name, row.stage): row.next_try for row in store.failures()}


def test_all_that_is_known_of_a_failure_is_shown(failed: Place, capsys: Capture) -> None:
    assert run_in(failed, "status", "--failures") == 0
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines())
    lines = printed.partition("\nfailed ")[2].splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("plone-a  project")]
    assert "  2  first 2023-11-14 22:13 " in lines[place]
    assert "  last 2023-11-15 00:13 " in lines[place + 1]
    assert "  next run " in lines[place + 2]
    assert " ".join(printed.split()).count("garbage") == 40


def test_only_a_readme_waits_for_its_time(failed: Place, capsys: Capture) -> None:
    """Whatever else failed is tried by the next run, so a date would be a lie."""
    assert run_in(failed, "status") == 0
    printed = capsys.readouterr().out
    rows = {line.split()[1]: line for line in printed.splitlines() if line.startswith("plone-")}
    assert "next run" in rows["project"]
    assert "next run" in rows["stale"]
    due = time.gmtime(next_tries(failed)["plone-b", "description"])
    assert time.strftime("%Y-%m-%d %H:%M", due) in rows["description"]


def test_retry_makes_all_due(failed: Place, capsys: Capture) -> None:
    assert run_in(failed, "status", "--retry") == 0
    assert capsys.readouterr().out == (
        "3 failures are due now. The next run tries again:\n  scrapy crawl pypi -a profile=plone\n"
    )
    assert max(next_tries(failed).values()) <= time.time()
    assert run_in(failed, "status") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("plone-b")]
    assert "next run" in rows[0]


def test_retry_names_the_crawl_of_what_was_named(fresh: Place, capsys: Capture) -> None:
    """`pypi` has nothing to do with a collection of names."""
    with fresh.store() as store:
        named = Profile(key="stack", name="stack", include=("a", "b"))
        store.open_collection("stack", named.definition(), None, "stack-1", 1, "server")
        store.record_failures([Failure(name, "project", "HTTP 500", LAST) for name in "ab"])
    assert run_in(fresh, "status", "--retry") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  scrapy crawl project -a names=a,b -a collection=stack"
    ]


def test_retry_of_some_leaves_the_others(failed: Place, capsys: Capture) -> None:
    before = next_tries(failed)
    assert run_in(failed, "status", "--json", "--retry", "Plone.B") == 0
    assert json.loads(capsys.readouterr().out) == {"retried": 1}
    after = next_tries(failed)
    assert [key for key in before if before[key] != after[key]] == [("plone-b", "description")]


def test_retry_of_a_package_that_has_not_failed_changes_nothing(failed: Place, capsys: Capture) -> None:
    before = next_tries(failed)
    assert run_in(failed, "status", "--retry", "plone.b", "plone.ab") == 2
    assert capsys.readouterr().err == (
        "scrapy status: 'plone.ab' has not failed (did you mean 'plone-b'?); "
        "`scrapy status --failures` lists what has\n"
    )
    assert next_tries(failed) == before


@pytest.mark.parametrize("words", [["-p", "plone"], ["--check"], ["--failures"]])
def test_retry_is_about_everything_and_shows_nothing_else(
    failed: Place, capsys: Capture, words: list[str]
) -> None:
    assert run_in(failed, "status", *words, "--retry") == 2
    assert capsys.readouterr().err.startswith("scrapy status: --retry goes with NAMEs and --json only")


def test_names_go_with_retry_only(failed: Place, capsys: Capture) -> None:
    assert run_in(failed, "status", "plone.b") == 2
    assert "unknown argument 'plone.b'" in capsys.readouterr().err


def test_retry_without_a_store_makes_none(fresh: Place, capsys: Capture) -> None:
    assert run_in(fresh, "status", "--retry") == 0
    assert capsys.readouterr().out == "No package has failed.\n"
    assert run_in(fresh, "status", "--retry", "plone.a") == 2
    assert run_in(fresh, "status", "--retry", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"retried": 0}
    assert not fresh.folder.exists()
