"""Scrapy's settings: what keeps strangers out, PyPI unburdened and secrets secret."""

from __future__ import annotations

import ast
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.misc import load_object

from pyf_scrapy import __version__
from pyf_scrapy.environment import variables
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import running_replica
from pyf_scrapy.scheduler import SupplyScheduler
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.pypi import PypiSpider
from tests.crawling import Place

ROOT = Path(__file__).parents[1]
NAMES = variables()
MEGABYTE = 1024 * 1024

OF_PROXIES = {
    "scrapy.downloadermiddlewares.downloadtimeout.DownloadTimeoutMiddleware",
    "scrapy.downloadermiddlewares.defaultheaders.DefaultHeadersMiddleware",
    "scrapy.downloadermiddlewares.useragent.UserAgentMiddleware",
    "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware",
    "scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware",
}
#: Those of Scrapy that no crawl here uses.
LEFT_OUT = {
    "DOWNLOADER_MIDDLEWARES": {
        *("OffsiteMiddleware", "RobotsTxtMiddleware", "HttpAuthMiddleware", "RetryMiddleware"),
        *("MetaRefreshMiddleware", "RedirectMiddleware", "CookiesMiddleware", "DownloaderStats"),
        "HttpCacheMiddleware",
    },
    "SPIDER_MIDDLEWARES": {
        *("StartSpiderMiddleware", "HttpErrorMiddleware", "RefererMiddleware", "UrlLengthMiddleware"),
        *("DepthMiddleware", "MetaCopyDetectionMiddleware"),
    },
    "EXTENSIONS": {
        *("TelnetConsole", "RemoteControl", "MemoryDebugger", "LogStats", "SpiderState", "AutoThrottle"),
    },
}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting in the environment, no .env."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYF_ENV_FILE", "")
    return monkeypatch


def project_settings() -> Settings:
    """Scrapy's settings as a command gets them in the present environment."""
    settings = Settings()
    values: dict[str, Any] = runpy.run_path(str(ROOT / "pyf_scrapy" / "settings.py"))
    settings.setdict({name: value for name, value in values.items() if name.isupper()}, priority="project")
    return settings


def scrapy(*arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(
        [sys.executable, "-m", "scrapy", *arguments],
        cwd=cwd,
        env={**inherited, "PYF_ENV_FILE": "", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestSafety:
    """Each of these is otherwise in Scrapy's defaults."""

    def test_certificates_are_verified(self, clean: pytest.MonkeyPatch) -> None:
        """Else anybody on the way could answer as PyPI, and would be handed GitHub's token."""
        assert project_settings().getbool("DOWNLOAD_VERIFY_CERTIFICATES")

    @pytest.mark.parametrize("door", ["TELNETCONSOLE_ENABLED", "REMOTE_CONTROL_ENABLED"])
    def test_no_door_is_open_while_a_crawl_runs(self, clean: pytest.MonkeyPatch, door: str) -> None:
        """Both run Python for whoever connects."""
        assert not project_settings().getbool(door)

    @pytest.mark.parametrize("what", ["REDIRECT_ENABLED", "METAREFRESH_ENABLED", "COOKIES_ENABLED"])
    def test_a_server_does_not_lead_elsewhere(self, clean: pytest.MonkeyPatch, what: str) -> None:
        assert not project_settings().getbool(what)

    def test_no_answer_fills_the_memory_or_takes_for_ever(self, clean: pytest.MonkeyPatch) -> None:
        from pyf_scrapy.spiders.fetching import INDEX_TIMEOUT, LARGEST_INDEX

        settings = project_settings()
        assert 0 < settings.getint("DOWNLOAD_MAXSIZE") <= 50 * MEGABYTE
        assert INDEX_TIMEOUT <= 600
        assert 47 * MEGABYTE < LARGEST_INDEX <= 250 * MEGABYTE
        assert 0 < settings.getfloat("DOWNLOAD_TIMEOUT") <= 60
        assert 0 < settings.getfloat("BACKOFF_MAX_DELAY") <= 3600
        assert 0 < settings.getint("BACKOFF_THROTTLED_RETRIES") < 100
        assert 0 < settings.getint("TYPESENSE_BATCH_BYTES") <= 10 * MEGABYTE

    def test_nothing_is_pickled(self, clean: pytest.MonkeyPatch) -> None:
        """Who can write to a pickle's file runs code in the crawl."""
        settings = project_settings()
        assert load_object(settings["SCHEDULER"]) is SupplyScheduler, "it keeps nothing, JOBDIR or not"
        assert not settings.getbool("HTTPCACHE_ENABLED")
        parts = ("DOWNLOADER_MIDDLEWARES", "EXTENSIONS")
        used = {path for part in parts for path in settings.get_component_priority_dict_with_base(part)}
        assert "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware" not in used
        assert "scrapy.extensions.spiderstate.SpiderState" not in used
        assert settings.getwithbase("FEED_EXPORTERS")["pickle"] is None

    def test_nothing_of_ours_pickles(self) -> None:
        forbidden = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
        wrong = []
        for path in (ROOT / "pyf_scrapy").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    modules = [node.module]
                wrong += [f"{path}: {name}" for name in modules if name.split(".")[0] in forbidden]
        assert not wrong

    @pytest.mark.parametrize("part", ["EXTENSIONS", "DOWNLOADER_MIDDLEWARES", "SPIDER_MIDDLEWARES"])
    @pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
    def test_of_scrapys_components_all_are_used_or_known(
        self, clean: pytest.MonkeyPatch, part: str, proxy: str | None
    ) -> None:
        """One that Scrapy adds, renames or moves would be missed or used in vain."""
        if proxy is not None:
            clean.setenv("https_proxy", proxy)
        known, ours = Settings().getdict(f"{part}_BASE"), project_settings().getdict(f"{part}_BASE")
        assert ours.items() <= known.items()
        left_out = known.keys() - ours.keys() - (OF_PROXIES if proxy is None else set())
        assert {path.rpartition(".")[2] for path in left_out} == LEFT_OUT[part]

    @pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
    def test_what_scrapy_tries_again_is_tried_again(
        self, clean: pytest.MonkeyPatch, proxy: str | None
    ) -> None:
        if proxy is not None:
            clean.setenv("https_proxy", proxy)
        of_proxies = [] if proxy else ["scrapy.core.downloader.handlers.http11.TunnelError"]
        assert project_settings()["RETRY_EXCEPTIONS"] + of_proxies == Settings()["RETRY_EXCEPTIONS"]

    def test_all_spiders_are_found(self, clean: pytest.MonkeyPatch) -> None:
        """Their modules are named one by one."""
        named, there = project_settings(), Settings({"SPIDER_MODULES": ["pyf_scrapy.spiders"]})
        assert get_spider_loader(named).list() == get_spider_loader(there).list()


class TestTowardsPyPI:
    def test_the_user_agent_says_who_and_how_to_reach_them(self, clean: pytest.MonkeyPatch) -> None:
        clean.setenv("USER_AGENT_CONTACT", "ops@example.org")
        assert project_settings()["USER_AGENT"] == f"pyf_scrapy/{__version__} (+ops@example.org)"

    def test_without_contact_it_names_the_project(self, clean: pytest.MonkeyPatch) -> None:
        assert project_settings()["USER_AGENT"] == f"pyf_scrapy/{__version__}"

    @pytest.mark.parametrize(
        ("environ", "host", "delay"),
        [
            ({}, "pypi.org", 0.2),
            ({"PYPI_MAX_RPS": "20"}, "pypi.org", 0.05),
            ({"PYPI_MAX_RPS": "0"}, "pypi.org", 0),
            ({"PYPI_URL": "http://127.0.0.1:8080"}, "127.0.0.1", 0),
            ({"PYPI_URL": "http://127.0.0.1:8080", "PYPI_MAX_RPS": "0.5"}, "127.0.0.1", 2),
        ],
    )
    def test_the_rate_is_one_figure_for_the_process(
        self, clean: pytest.MonkeyPatch, environ: dict[str, str], host: str, delay: float
    ) -> None:
        """The slot of PyPI's host has it, exactly: neither another slot nor jitter makes it more."""
        for name, value in environ.items():
            clean.setenv(name, value)
        settings = project_settings()
        PypiSpider.update_settings(settings)
        slots = settings.getdict("DOWNLOAD_SLOTS")
        assert list(slots) == [host]
        assert slots[host]["delay"] == pytest.approx(delay)
        assert slots[host]["jitter"] == 0


class TestReading:
    def test_environment_and_env_file_reach_scrapy(self, tmp_path: Path) -> None:
        """Also from a sub-folder of the project; the environment wins."""
        env = tmp_path / "my.env"
        env.write_text("PYPI_CONCURRENCY=7\nPYPI_MAX_RETRIES=9\n")
        for name, value in (("PYPI_CONCURRENCY", "7"), ("PYPI_MAX_RETRIES", "1")):
            done = scrapy(
                *("settings", "--get", name),
                cwd=ROOT / "tests",
                PYF_ENV_FILE=str(env),
                PYPI_MAX_RETRIES="1",
            )
            assert done.stdout.strip() == value, done.stderr

    def test_the_data_folder_is_beside_scrapy_cfg(self) -> None:
        done = scrapy("settings", "--get", "PYF_DATA_DIR", cwd=ROOT / "tests")
        assert done.stdout.strip() == str(ROOT / ".pyf")

    def test_a_wrong_value_ends_every_command_with_one_line(self) -> None:
        done = scrapy("list", PYPI_CONCURRENCY="many")
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert "PYPI_CONCURRENCY" in line
        assert "from 1 to 200" in line


class TestCommandsOfScrapy:
    def test_list(self) -> None:
        done = scrapy("list")
        assert done.returncode == 0
        assert {"project", "pypi"} <= set(done.stdout.split())

    def test_check(self) -> None:
        done = scrapy("check")
        assert done.returncode == 0, done.stderr

    def test_settings(self) -> None:
        assert scrapy("settings", "--get", "BOT_NAME").stdout.strip() == "pyf_scrapy"


def test_no_secret_is_written_anywhere(tmp_path: Path, empty_index: Server) -> None:
    """Not to the log (at its most talkative), nor to the summary, the settings or the data folder."""
    secrets = {"GITHUB_TOKEN": "ghp_kestrel7431", "REDIS_URL": "redis://worker:lapwing9002@127.0.0.1:1/0"}
    with running_replica(Options(projects=3)) as replica:
        names = ",".join(replica.replica.names())
        place = Place(tmp_path / "data", replica.url, empty_index, extra=secrets)
        crawl = place.run(
            *("crawl", "project", "-a", f"names={names}", "-a", "collection=stack"),
            *("-L", "DEBUG", "-O", f"{tmp_path / 'packages.jsonl'}"),
        )
    assert crawl.returncode == 0, crawl.stderr
    assert "Overridden settings" in crawl.stderr
    shown = crawl.stdout + crawl.stderr + place.run("settings").stdout
    hidden = (empty_index.api_key, "kestrel7431", "lapwing9002")
    assert not [secret for secret in hidden if secret in shown]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [(path, s) for path in files for s in hidden if s.encode() in path.read_bytes()]


def test_a_secret_in_a_wrong_place_is_not_shown(tmp_path: Path) -> None:
    done = scrapy("list", PYPI_URL="https://me:oriole5512@pypi.org")
    assert done.returncode == 2
    assert "oriole5512" not in done.stderr + done.stdout


def test_ctrl_c_while_a_command_starts_ends_it_without_a_traceback(clean: pytest.MonkeyPatch) -> None:
    """What a command needs takes a second to load; whoever has mistyped it need not read where that was."""

    def ended_by(error: str) -> subprocess.CompletedProcess[str]:
        code = f"import pyf_scrapy.settings; raise {error}"
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    ended = ended_by("KeyboardInterrupt")
    assert (ended.stderr, ended.returncode) == ("", -signal.SIGINT)
    assert "OSError" in ended_by("OSError").stderr
