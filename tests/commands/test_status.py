"""`scrapy status` tells how far a crawl of days is and what failed; it must be right, and disturb nothing."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import pytest

from pyf_scrapy.status import rate
from pyf_scrapy.store import Check
from pyf_scrapy.store import Run as StoredRun
from pyf_scrapy.store.index_file import IndexFile
from tests.commands.world import OPTIONS, Run, World, run_in
from tests.crawling import Place

Capture = pytest.CaptureFixture[str]


def test_the_page_says_how_much_is_done(run: Run, world: World, capsys: Capture) -> None:
    assert run("status") == 0
    lines = capsys.readouterr().out.splitlines()
    done = OPTIONS.projects - len(world.broken)
    facts = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line}
    assert facts["checked"].startswith(
        f"{done} of {OPTIONS.projects} ({100 * done / OPTIONS.projects:.1f} %), about "
    )
    assert facts["known"].startswith(f"{done} projects, highest serial ")
    assert facts["partial"].startswith("1 of the releases")
    count = str(len(world.members("Plone")))
    assert facts["plone"].split()[:4] == ["all", count, count, "0"]
    with world.place.store() as store:
        serial = store.index_reads()[-1].serial
    assert (
        f"plone checked {done} of {OPTIONS.projects} at serial {serial}; {count} match; {count} indexed; "
        "oldest unchecked change: "
    ) in " ".join(" ".join(lines).split())
    assert any(line.startswith("20") and "some failed" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_json_has_stable_keys(run: Run, world: World, capsys: Capture) -> None:
    assert run("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["crawled"] is True
    assert found["pypi_url"] == world.place.pypi_url
    assert (found["listed"], found["checked"]) == (OPTIONS.projects, OPTIONS.projects - len(world.broken))
    assert (found["failures"], found["partial_releases"]) == (len(world.broken), 1)
    assert [state["collection"] for state in found["collections"]] == ["django", "plone"]
    plone = found["collections"][1]
    assert plone["members"] == plone["indexed"] == len(world.members("Plone"))
    assert plone["matching"] == plone["members"]
    assert plone["waiting"] == 0
    assert found["lanes"]["feeds"] is None
    assert 0 <= found["lanes"]["index"] <= found["oldest_unchecked_change"]  # the broken ones wait since then
    assert found["runs"][0]["arguments"] == {"profile": "plone,django"}
    assert found["runs"][0]["figures"]["failed"] == len(world.broken)
    assert run("status", "--json", PYF_DATA_DIR=world.place.folder / "fresh") == 0
    assert list(json.loads(capsys.readouterr().out)) == list(found)


def test_a_crawl_that_left_something_out_fails_the_check(run: Run, world: World, capsys: Capture) -> None:
    assert run("status", "--check") == 1
    (row,) = capsys.readouterr().out.partition("limit missed")[2].splitlines()[2:]
    share = 1 - len(world.broken) / OPTIONS.projects
    assert row.split()[:3] == ["coverage", f"{math.floor(100_000 * share) / 1000:g}", "%"]
    assert run("status", "--check", STATUS_MIN_COVERAGE=0.9) == 0


def test_documents_are_counted_when_the_server_runs(run: Run, world: World, capsys: Capture) -> None:
    assert run("search", "-p", "plone") == 0  # from here on it runs
    capsys.readouterr()
    assert run("status", "--json", "-p", "plone") == 0
    found = json.loads(capsys.readouterr().out)
    members = filter(None, map(world.replica.project, world.members("Plone")))
    releases = sum(len(member.releases) for member in members)
    assert found["search"] == "asked"
    assert [state["documents"] for state in found["collections"]] == [releases]


def test_all_failures_are_shown_on_demand(run: Run, world: World, capsys: Capture) -> None:
    """No package is lost silently."""
    assert run("status") == 0
    some = capsys.readouterr().out
    assert some.splitlines()[-1] == f"These are the last 5 of {len(world.broken)}; --failures shows all."
    assert run("status", "--failures") == 0
    every = capsys.readouterr().out
    assert all(name in every for name in world.broken)
    assert "--failures" not in every


def test_one_collection(run: Run, capsys: Capture) -> None:
    assert run("status", "-p", "plone") == 0
    printed = capsys.readouterr().out
    assert "\nplone " in printed
    assert "\ndjango " not in printed
    assert run("status", "-p", "flask") == 0
    assert "No collection flask yet: scrapy crawl pypi -a profile=flask" in capsys.readouterr().out
    assert run("status", "-p", "nope") == 2


@pytest.mark.parametrize("kind", ["file", "loop", "closed"])
@pytest.mark.parametrize("arguments", [["status"], ["status", "--runs"], ["queue", "stats"]])
def test_a_folder_that_cannot_be_used_is_not_a_fresh_one(
    fresh: Place, capsys: Capture, kind: str, arguments: list[str]
) -> None:
    """Else who mistyped PYF_DATA_DIR, or is another user than cron, thinks that nothing was crawled."""
    if kind == "file":
        fresh.folder.write_text("")
    elif kind == "loop":
        fresh.folder.symlink_to(fresh.folder)
    else:
        fresh.folder.mkdir(mode=0o000)
        if os.access(fresh.folder, os.X_OK):
            pytest.skip("root may look into any folder")
    assert run_in(fresh, *arguments) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"scrapy {arguments[0]}: PYF_DATA_DIR={fresh.folder} cannot be used: ")


def test_a_fresh_folder_stays_fresh(fresh: Place, capsys: Capture) -> None:
    assert run_in(fresh, "status") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"Nothing crawled yet in {fresh.folder}. Start with:\n  scrapy crawl pypi -a profile="
    )
    assert run_in(fresh, "status", "-c", "stack") == 0
    assert "-a collection=stack" in capsys.readouterr().out
    assert run_in(fresh, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["crawled"] is False
    assert not fresh.folder.exists()


def test_status_only_reads_so_it_may_be_of_another_pypi(run: Run, capsys: Capture) -> None:
    """The demo's folder has the facts of a replica that is gone."""
    assert run("status", PYPI_URL="https://pypi.org") == 0
    assert "facts of http://127.0.0.1:" in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def half(fresh: Place) -> Place:
    """A folder in which a crawl is half through 1,000 projects, after a run of 100 projects in 50 seconds."""
    fresh.folder.mkdir()
    names = [f"name-{number:04d}" for number in range(1000)]
    with fresh.store() as store:
        store.record_checks([Check(name, name, 7, ()) for name in names[:500]])
        first = store.start_run("pypi", {}, 1_800_000_000)
        store.finish_run(first, "shutdown", 1, {"fetched": 100}, 1_800_000_050)
        store.start_run("pypi", {}, 1_800_000_100)
    IndexFile(fresh.folder / "index").write(
        # Of ten of those that were checked the serial has moved since.
        ((name, name, 8 if place < 10 else 7) for place, name in enumerate(names)),
        etag=None,
        last_serial=8,
        written_at=1_800_000_000,
    )
    return fresh


def test_time_left_by_the_last_rate(half: Place, capsys: Capture) -> None:
    """A project that changed after it was fetched is not up to date, although the store knows it."""
    assert run_in(half, "status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["listed"], found["known"], found["checked"]) == (1000, 500, 490)
    assert (found["projects_per_second"], found["seconds_left"]) == (2.0, 255)
    assert run_in(half, "status") == 0
    assert "490 of 1,000 (49.0 %), about 4 min left at 2.0/s" in capsys.readouterr().out


def test_a_killed_run_is_told_from_a_running_one(half: Place, capsys: Capture) -> None:
    def outcomes() -> list[str]:
        assert run_in(half, "status", "--json") == 0
        return [run["outcome"] for run in json.loads(capsys.readouterr().out)["runs"]]

    with half.running("pypi"):
        assert outcomes() == ["running", "interrupted"]
    assert outcomes() == ["killed", "interrupted"]


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_no_server_is_started_or_waited_for(half: Place, capsys: Capture, host: str) -> None:
    outside = replace(half, extra={"TYPESENSE_HOST": host, "TYPESENSE_PORT": 9, "TYPESENSE_API_KEY": "x"})
    assert run_in(outside, "status") == 0
    assert "documents  not asked: no search server is running" in capsys.readouterr().out
    assert not (half.folder / "typesense").exists()


@pytest.mark.parametrize(
    ("fetched", "seconds", "ceiling", "expected"),
    [
        (1000, 100, 5.0, 10.0),
        (99, 1, 5.0, 5.0),  # too few to tell
        (99, 1, 0.0, None),
        (1000, 0, 0.0, None),
        (1000, None, 0.0, None),  # killed
    ],
)
def test_rate(fetched: int, seconds: int | None, ceiling: float, expected: float | None) -> None:
    finished = None if seconds is None else 50 + seconds
    last = StoredRun(1, "pypi", {}, 50, finished, "finished", 0, {"fetched": fetched} if finished else None)
    assert rate([last], ceiling) == expected
