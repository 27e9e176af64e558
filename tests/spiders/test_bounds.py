"""An answer that would fill the memory is an error of its package, by name, and of no other."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pyf_scrapy.search.embedded import Server
from tests.crawling import Place

MEGABYTE = 1024 * 1024
NAMES = ("bomb", "good", "huge")


def project(name: str) -> bytes:
    info = {"name": name, "version": "1.0", "classifiers": ["Framework :: Plone"]}
    return json.dumps({"info": info, "last_serial": 7, "releases": {"1.0": []}, "urls": []}).encode()


class Site(BaseHTTPRequestHandler):
    """An index of three projects; one unpacks to 64 MB, one is 4 MB as it is."""

    def do_GET(self) -> None:
        headers = {}
        if self.path == "/simple/":
            projects = [{"name": name, "_last-serial": 7} for name in NAMES]
            body = json.dumps(
                {"meta": {"api-version": "1.4", "_last-serial": 7}, "projects": projects}
            ).encode()
        elif "bomb" in self.path:
            body, headers = gzip.compress(b" " * 64 * MEGABYTE), {"Content-Encoding": "gzip"}
        elif "huge" in self.path:
            body = b" " * 4 * MEGABYTE
        else:
            body = project("good")
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_bombs_and_giants_are_named_and_the_others_indexed(
    tmp_path: Path, site: str, empty_index: Server
) -> None:
    """As a user's command, because the download handler of production is not that of crawls in process."""
    place = Place(tmp_path / "data", site, empty_index)
    limit = ("-s", f"DOWNLOAD_MAXSIZE={MEGABYTE}", "-L", "WARNING")
    done = place.run("crawl", "pypi", "-p", "plone", *limit)
    assert done.returncode == 3, done.stderr
    assert set(place.documents("plone")) == {"good==1.0"}
    with place.store() as store:
        assert {failure.normalized_name for failure in store.failures()} == {"bomb", "huge"}
        assert all("Traceback" not in failure.reason for failure in store.failures())
    assert "Traceback" not in done.stderr


def test_an_answer_that_is_too_large_is_not_taken_for_silence(
    tmp_path: Path, site: str, empty_index: Server
) -> None:
    place = Place(tmp_path / "data", site, empty_index)
    limit = ("-s", f"DOWNLOAD_MAXSIZE={MEGABYTE}", "-L", "WARNING")
    for name in ("bomb", "huge"):
        done = place.run("crawl", "project", "-a", f"names={name}", "-a", "collection=stack", *limit)
        assert done.returncode == 3, done.stderr
        assert "does not answer" not in done.stderr
