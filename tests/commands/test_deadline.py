"""A crawl that was asked to stop ends, whatever hangs.

If this fails, a reboot or a deployment waits for minutes, or the supervisor's kill is what ends each crawl.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyf_scrapy.commands.deadline import LAST_SECONDS
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import running_replica
from pyf_scrapy.search import supervisor
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.embedded import embedded_server
from tests.conftest import kill_server
from tests.crawling import CHECKOUT, Place, true_documents

OPTIONS = Options(projects=60, members={"plone": 40}, empty=0, missing=0, most_releases=3)
#: A crawl with another number of last seconds.
_PROGRAM = """
import sys
from pyf_scrapy.commands import deadline
from scrapy.cmdline import execute
deadline.LAST_SECONDS = {seconds}
execute(["scrapy", *sys.argv[1:]])
"""


def test_it_ends_within_30_seconds() -> None:
    assert LAST_SECONDS + 2 <= 30


def test_a_search_server_that_hangs_does_not_keep_it(tmp_path: Path) -> None:
    """It would be waited for TYPESENSE_TIMEOUT seconds, several times."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    served = tmp_path / "typesense"
    with running_replica(OPTIONS) as replica, embedded_server(served, linger=0.5) as server:
        place = Place(tmp_path / "data", replica.url, server, {"PYPI_MAX_RPS": 20})
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(seconds=1), "crawl", "pypi", "-p", "plone"],
            cwd=CHECKOUT,
            env=place.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr is not None
            while "to check" not in process.stderr.readline():
                assert process.poll() is None
            pid = supervisor.read_state(served)["pid"]
            os.kill(pid, signal.SIGSTOP)
            try:
                replica.reset()
                while replica.statistics()["requests"].get("project", 0) < 10:
                    time.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=60)
            finally:
                os.kill(pid, signal.SIGCONT)
                process.kill()
        assert process.returncode == 1
        assert "a service does not answer. Nothing stored is lost" in errors
        assert "Traceback" not in errors
        place.extra.clear()
        assert place.run("crawl", "pypi", "-p", "plone").returncode == 0
        assert set(place.documents("plone")) == true_documents(replica.replica, "Framework :: Plone")
    kill_server(served)
