"""scrapyd for real: a server with a password, `scrapyd-deploy`, and jobs against a replica of PyPI.

What goes wrong here goes wrong on a machine that nobody looks at.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests.checkout import CHECKOUT, FOR_AN_EGG, copy, git
from tests.crawling import Place
from tests.truth import Documents, comparable, differences, expected

USER, PASSWORD = "deployer", "lapwing9002"
PROJECT = "pyf_scrapy"
OPTIONS = Options(projects=60, members={"plone": 30}, only_members=True, most_releases=6, missing=0)
CONFIGURATION = """\
[scrapyd]
bind_address = 127.0.0.1
http_port = {port}
username = {user}
password = {password}
poll_interval = 0.2
"""


@dataclass
class Scrapyd:
    """A running scrapyd; `folder` is its working directory, `home` that of who deploys."""

    folder: Path
    home: Path
    url: str

    def get(self, name: str, password: str = PASSWORD, **parameters: str) -> requests.Response:
        return requests.get(self.url + name, params=parameters, auth=(USER, password), timeout=30)

    def post(self, name: str, **data: str | list[str]) -> dict[str, Any]:
        answer = requests.post(self.url + name, data=data, auth=(USER, PASSWORD), timeout=60).json()
        assert answer["status"] == "ok", answer
        return dict(answer)

    def deploy(
        self, checkout: Path, *options: str, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `scrapyd-deploy` in a checkout; the password comes from ~/.netrc."""
        return subprocess.run(
            [Path(sys.executable).with_name("scrapyd-deploy"), "here", *options],
            cwd=checkout,
            env={"PATH": os.environ["PATH"], "HOME": str(home or self.home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def versions(self, project: str = PROJECT) -> list[str]:
        versions: list[str] = self.get("listversions.json", project=project).json()["versions"]
        return versions

    def schedule(self, spider: str, *settings: str, **arguments: str) -> str:
        """Start a job; returns its id."""
        answer = self.post(
            "schedule.json", project=PROJECT, spider=spider, setting=list(settings), **arguments
        )
        return str(answer["jobid"])

    def is_finished(self, job: str) -> bool:
        return bool(self.get("status.json", project=PROJECT, job=job).json()["currstate"] == "finished")

    def finished(self) -> set[str]:
        """The ids of jobs that have ended."""
        return {job["id"] for job in self.get("listjobs.json", project=PROJECT).json()["finished"]}

    def wait(self, job: str) -> str:
        """Wait for the end of a job of the spider `pypi`; returns its log."""
        deadline = time.monotonic() + 60
        while not self.is_finished(job):
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return self.get(f"logs/{PROJECT}/pypi/{job}.log").text

    @property
    def output(self) -> str:
        """What scrapyd said, and its jobs to it."""
        return (self.folder / "output").read_text()


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as replica:
        yield replica


@pytest.fixture(scope="module")
def scrapyd(
    tmp_path_factory: pytest.TempPathFactory, replica: Handle, typesense_server: Server
) -> Iterator[Scrapyd]:
    """In a folder of its own, with the settings of its jobs in its environment and its `.env`."""
    folder, home = tmp_path_factory.mktemp("scrapyd"), tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    (home / ".scrapy.cfg").write_text(f"[deploy:here]\nurl = {url}\n")
    _keep(home / ".netrc", f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    _keep(folder / "scrapyd.conf", CONFIGURATION.format(port=port, user=USER, password=PASSWORD))
    _keep(folder / "key", typesense_server.api_key)
    (folder / ".env").write_text("TYPESENSE_API_KEY_FILE=key\nPYPI_RETRY_BACKOFF=0.01\n")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYPI_URL": replica.url,
        "TYPESENSE_HOST": typesense_server.host,
        "TYPESENSE_PORT": str(typesense_server.port),
        "TYPESENSE_PROTOCOL": typesense_server.protocol,
    }
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scrapyd"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Scrapyd(folder, home, url)
    try:
        _answers(process, server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # jobs outlive it, when a test failed


def _keep(file: Path, text: str) -> None:
    """Write what others may not read: netrc insists on it."""
    file.touch(0o600)
    file.write_text(text)


def _answers(process: subprocess.Popen[bytes], server: Scrapyd) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, server.output
        assert time.monotonic() < deadline, server.output
        try:
            if server.get("daemonstatus.json").ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git checkout of what an egg is made of, as it stands."""
    folder = copy(FOR_AN_EGG, tmp_path_factory.mktemp("checkout"))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it stands")
    (folder / ".env").write_text("GITHUB_TOKEN=ghp_oriole5512\n")
    return folder


@pytest.fixture(scope="module")
def deployed(scrapyd: Scrapyd, checkout: Path) -> subprocess.CompletedProcess[str]:
    return scrapyd.deploy(checkout)


@pytest.fixture
def truth(replica: Handle) -> Documents:
    """The documents that the index must hold; what no serial tells is known after a refresh only."""
    found = expected(
        replica.replica, load_profiles(CHECKOUT / "profiles.yaml")["plone"], datetime.now(UTC).date()
    )
    for document in found.values():
        document.pop("project_status", None)
    return comparable(found)


def held(folder: Path, replica: Handle, index: Server) -> Documents:
    return comparable(Place(folder, replica.url, index).documents("plone"))


class TestDeploying:
    def test_the_checkout_becomes_a_project_of_the_server(
        self, scrapyd: Scrapyd, deployed: subprocess.CompletedProcess[str]
    ) -> None:
        assert deployed.returncode == 0, deployed.stderr
        answer = json.loads(deployed.stdout)
        assert answer["status"] == "ok"
        spiders = scrapyd.get("listspiders.json", project=PROJECT).json()["spiders"]
        assert {"pypi", "rss", "project"} <= set(spiders)
        assert answer["spiders"] == len(spiders)
        assert PASSWORD not in deployed.stdout + deployed.stderr + scrapyd.output

    def test_it_leaves_nothing_in_the_checkout_that_could_be_committed(
        self, checkout: Path, deployed: subprocess.CompletedProcess[str]
    ) -> None:
        assert deployed.returncode == 0
        assert git(checkout, "status", "--porcelain") == ""

    def test_the_keys_of_who_deploys_stay_at_home(
        self, scrapyd: Scrapyd, deployed: subprocess.CompletedProcess[str]
    ) -> None:
        (egg,) = (scrapyd.folder / "eggs" / PROJECT).iterdir()
        with zipfile.ZipFile(egg) as archive:
            assert not [name for name in archive.namelist() if b"oriole5512" in archive.read(name)]
            assert "pyf_scrapy/profiles.yaml" in archive.namelist()

    def test_broken_profiles_are_not_even_sent(self, scrapyd: Scrapyd, tmp_path: Path) -> None:
        broken = copy(FOR_AN_EGG, tmp_path / "checkout")
        (broken / "profiles.yaml").write_text("profiles:\n  plone:\n    name: Plone\n")
        before = scrapyd.versions()
        assert scrapyd.deploy(broken).returncode != 0
        assert scrapyd.versions() == before

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("profiles:\n  plone:\n    name: Plone\n", "profiles.yaml:2: "),
            (None, "no profiles.yaml found"),
        ],
        ids=["broken", "missing"],
    )
    def test_an_egg_without_usable_profiles_is_refused_with_the_reason(
        self,
        scrapyd: Scrapyd,
        deployed: subprocess.CompletedProcess[str],
        tmp_path: Path,
        text: str | None,
        reason: str,
    ) -> None:
        """One that was made by other means. Without that only its jobs would fail, each for itself."""
        (egg,) = (scrapyd.folder / "eggs" / PROJECT).iterdir()
        with zipfile.ZipFile(egg) as good, zipfile.ZipFile(tmp_path / "broken.egg", "w") as broken:
            for name in good.namelist():
                if name != "pyf_scrapy/profiles.yaml":
                    broken.writestr(name, good.read(name))
            if text is not None:
                broken.writestr("pyf_scrapy/profiles.yaml", text)
        done = scrapyd.deploy(CHECKOUT, "--project", "broken", "--egg", str(tmp_path / "broken.egg"))
        answer = json.loads(done.stdout)
        assert answer["status"] == "error"
        assert reason in answer["message"]
        assert "Traceback" not in answer["message"]

    def test_a_wrong_password_is_refused(
        self, scrapyd: Scrapyd, deployed: subprocess.CompletedProcess[str], tmp_path: Path
    ) -> None:
        (egg,) = (scrapyd.folder / "eggs" / PROJECT).iterdir()
        (tmp_path / ".scrapy.cfg").write_text((scrapyd.home / ".scrapy.cfg").read_text())
        _keep(tmp_path / ".netrc", f"machine 127.0.0.1 login {USER} password {PASSWORD[:-1]}\n")
        done = scrapyd.deploy(CHECKOUT, "--egg", str(egg), home=tmp_path)
        assert done.returncode == 1
        assert "401" in done.stderr
        assert scrapyd.versions() == [egg.stem]
        for path in ("listjobs.json", "logs/", "jobs", ""):
            assert scrapyd.get(path, password="").status_code == 401


@pytest.mark.usefixtures("deployed")
class TestJobs:
    def test_a_job_fills_the_index(
        self, scrapyd: Scrapyd, replica: Handle, empty_index: Server, truth: Documents
    ) -> None:
        """With the profiles of the egg, the settings of the server, and data in the server's folder."""
        log = scrapyd.wait(scrapyd.schedule("pypi", profile="plone"))
        data = scrapyd.folder / ".pyf"
        assert (data / "store.sqlite").is_file(), scrapyd.output
        assert differences(held(data, replica, empty_index), truth) == [], log
        assert "ERROR" not in log
        assert empty_index.api_key not in log + scrapyd.output

    def test_a_cancelled_job_ends_in_order_and_the_next_one_goes_on(
        self, scrapyd: Scrapyd, replica: Handle, empty_index: Server, truth: Documents
    ) -> None:
        data = scrapyd.folder / "cancelled"
        replica.reset()
        job = scrapyd.schedule("pypi", f"PYF_DATA_DIR={data}", "PYPI_MAX_RPS=25", profile="plone")
        while replica.statistics()["total"] < 40:
            assert not scrapyd.is_finished(job), scrapyd.output
            time.sleep(0.05)
        assert scrapyd.post("cancel.json", project=PROJECT, job=job)["prevstate"] == "running"
        log = scrapyd.wait(job)
        assert "Interrupted; the same command goes on from here" in log
        assert "Traceback" not in log
        before = held(data, replica, empty_index)
        assert 0 < len(before) < len(truth)

        again = scrapyd.wait(scrapyd.schedule("pypi", f"PYF_DATA_DIR={data}", profile="plone"))
        assert differences(held(data, replica, empty_index), truth) == [], again
        fetched = replica.statistics(paths=True)["paths"]
        names = [path for path in fetched if path.startswith("/pypi/") and path.count("/") == 3]
        twice = [path for path in names if fetched[path] > 1]
        assert len(names) >= OPTIONS.projects / 2
        assert len(twice) < 16, "only what was under way is asked for again"

    def test_the_schedule_has_its_jobs_done_by_the_server(
        self, scrapyd: Scrapyd, replica: Handle, empty_index: Server, truth: Documents, tmp_path: Path
    ) -> None:
        """Posted is not done: the real egg has to take the arguments that the schedule gives it."""
        off = {f"SCHEDULE_{job}": "" for job in ("FEEDS", "REFRESH", "GITHUB", "DOWNLOADS", "HEALTH", "FULL")}
        secrets = {"SCRAPYD_USERNAME": USER, "SCRAPYD_PASSWORD": PASSWORD}
        before = scrapyd.finished()
        place = Place(tmp_path, replica.url, empty_index, {**off, **secrets, "SCHEDULE_SYNC": "0 0 1 1 *"})
        with place.popen("schedule", "--scrapyd", scrapyd.url, "-p", "plone") as scheduler:
            try:
                while scrapyd.finished() == before:
                    assert scheduler.poll() is None, scheduler.communicate()
                    time.sleep(0.2)
            finally:
                scheduler.terminate()
                output, errors = scheduler.communicate(timeout=30)
        assert scheduler.returncode == 0, errors
        assert differences(held(scrapyd.folder / ".pyf", replica, empty_index), truth) == [], scrapyd.output
        assert PASSWORD not in output + errors

    def test_a_job_for_an_unknown_profile_says_so_in_its_log(self, scrapyd: Scrapyd) -> None:
        """The log is all that a user of scrapyd sees of a job."""
        (line,) = scrapyd.wait(scrapyd.schedule("pypi", profile="plonk")).splitlines()
        assert "ERROR: unknown profile 'plonk' (did you mean 'plone'?); known: plone, " in line
        assert "exitstatus=2" in scrapyd.output
