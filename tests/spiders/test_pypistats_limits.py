"""pypistats allows 5 requests a second and 30 a minute: nobody who runs this may ever be refused.

The replica's clock runs fast, and the delay of the crawl is as much shorter. The store is filled directly.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.search.embedded import Server
from tests.crawling import Place
from tests.store.samples import facts

#: Packages; seconds of the replica's clock in a real one.
FEW, FAST = 160, 60
MANY, FASTER = 4_000, 100
BULK = 20_000
RECENT = "/pypistats/api/packages/"


def filled(folder: Path, replica: Handle, server: Server, speed: float, count: int) -> Place:
    """A place with so many packages in its store, of which pypistats knows all."""
    replica.services(speed=speed)
    settings = {
        "PYPISTATS_URL": replica.pypistats_url,
        "CLICKPY_URL": replica.clickpy_url,
        "PYPISTATS_RATE_LIMIT_DELAY": 2 / speed,
    }
    place = Place(folder / "data", replica.url, server, settings)
    names = replica.replica.names()[:count]
    assert len(names) == count
    with place.store() as store:
        store.save_packages([facts("1.0", name=name) for name in names])
        store.open_collection("plone", load_profiles()["plone"].definition(), None, "plone-1", 1, "server")
    return place


def asked(replica: Handle) -> dict[str, int]:
    paths: dict[str, int] = replica.statistics(paths=True)["paths"]
    return {path: count for path, count in paths.items() if path.startswith(RECENT)}


def killed(place: Place, replica: Handle, how: signal.Signals, after: int) -> tuple[int, str, str]:
    """Start a crawl and end it after so many requests; what it said."""
    process = place.popen("crawl", "pypistats", "-p", "plone", "-L", "WARNING")
    try:
        while len(asked(replica)) < after:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.kill(process.pid, how)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, output, errors


def never_refused(place: Place, replica: Handle, count: int) -> dict[str, Any]:
    """Crawl, kill, crawl on: everybody is asked about once, and no request is refused."""
    killed(place, replica, signal.SIGKILL, after=count // 3)
    before = sum(asked(replica).values())
    done = place.run("crawl", "pypistats", "-p", "plone", "-L", "WARNING", timeout=1800)
    assert (done.returncode, done.stderr) == (0, "")
    service: dict[str, Any] = replica.statistics()["services"]["pypistats"]
    assert service["statuses"].get("429", 0) == service["limited"] == 0
    found = asked(replica)
    assert len(found) == count
    # One answer may have been under way when the kill came.
    assert sum(found.values()) - count <= 1
    assert count // 3 <= before < count, "it was killed in the middle"
    with place.store() as store:
        assert len(store.download_ages(replica.replica.names(), "pypistats")) == count
    return service


def test_a_run_that_is_killed_goes_on_and_no_request_is_refused(tmp_path: Path, empty_index: Server) -> None:
    with running_replica(Options(projects=FEW, empty=0, missing=0)) as replica:
        place = filled(tmp_path, replica, empty_index, FAST, FEW)
        never_refused(place, replica, FEW)
        assert all("download_last_day" in document for document in place.documents("plone").values())


def test_ctrl_c_keeps_what_was_answered(tmp_path: Path, empty_index: Server) -> None:
    with running_replica(Options(projects=FEW, empty=0, missing=0)) as replica:
        place = filled(tmp_path, replica, empty_index, FAST, FEW)
        code, output, errors = killed(place, replica, signal.SIGINT, after=20)
        assert (code, "Interrupted" in output, errors) == (1, True, "")
        with place.store() as store:
            assert len(store.download_ages(replica.replica.names(), "pypistats")) >= len(asked(replica)) - 1


@pytest.mark.soak
def test_4000_packages_without_a_refusal(tmp_path: Path, empty_index: Server) -> None:
    begun = time.monotonic()
    with running_replica(Options(projects=MANY, empty=0, missing=0)) as replica:
        place = filled(tmp_path, replica, empty_index, FASTER, MANY)
        service = never_refused(place, replica, MANY)
    print(
        f"\nsoak: {MANY:,} packages, killed once, {service['requests']:,} requests, 0 refused, "
        f"{time.monotonic() - begun:.0f} s with the clock {FASTER} times as fast"
    )


@pytest.mark.soak
def test_20000_packages_by_10_requests_to_clickpy(tmp_path: Path, empty_index: Server) -> None:
    begun = time.monotonic()
    with running_replica(Options(projects=BULK, empty=0, missing=0)) as replica:
        place = filled(tmp_path, replica, empty_index, 1, BULK)
        place.extra["DOWNLOADS_SOURCE"] = "clickpy"
        done = place.run("crawl", "pypistats", "-p", "plone", "-L", "WARNING", timeout=3600)
        assert (done.returncode, done.stderr) == (0, "")
        requests = replica.statistics()["requests"]
        assert requests["clickpy"] <= 10
        assert set(requests) == {"clickpy"}
        with place.store() as store:
            assert len(store.download_ages(replica.replica.names(), "clickpy")) == BULK
        documents = place.documents("plone")
        assert len([d for d in documents.values() if d.get("download_source") == "clickpy"]) == BULK
    print(
        f"\nsoak: ClickPy told of {BULK:,} packages in {requests['clickpy']} requests, "
        f"indexed in {time.monotonic() - begun:.0f} s"
    )
