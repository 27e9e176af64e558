"""Whole crawls for tests: in process on the test's own event loop, or as a user's command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrapy import signals
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.settings import Settings

from pyf_scrapy.environment import variables
from pyf_scrapy.extensions.outcome import Outcome
from pyf_scrapy.extensions.report import RunReport
from pyf_scrapy.items import PackageItem
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.search.collections import iter_documents
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.documents import CALCULATED
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.session import open_store, run_lock
from pyf_scrapy.store import Store

CHECKOUT = Path(__file__).parents[1]


@dataclass
class Crawled:
    """What a crawl in process came to."""

    outcome: Outcome
    stats: dict[str, Any]
    items: list[PackageItem]

    @property
    def figures(self) -> dict[str, int]:
        return self.outcome.figures


@dataclass
class Place:
    """Where crawls of one test keep things: a data folder, a PyPI, a Typesense."""

    folder: Path
    pypi_url: str
    server: Server
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        return {
            "PYPI_URL": self.pypi_url,
            "PYF_DATA_DIR": self.folder,
            "TYPESENSE_HOST": self.server.host,
            "TYPESENSE_PORT": self.server.port,
            "TYPESENSE_PROTOCOL": self.server.protocol,
            "TYPESENSE_API_KEY": self.server.api_key,
            "PYPI_RETRY_BACKOFF": 0.01,
            "STALE_PATIENCE": 0.02,
            **self.extra,
        }

    def settings(self, **overrides: Any) -> Settings:
        settings = Settings()
        settings.setmodule("pyf_scrapy.settings", priority="project")
        settings.setdict(
            {
                "TWISTED_REACTOR_ENABLED": False,
                "LOG_ENABLED": False,
                "TYPESENSE_BATCH_LINGER": 0.02,
                "RENDER_WORKERS": 1,  # to start a second one takes longer than the few READMEs of a test
                "DOWNLOAD_SLOTS": {},
                **self.values,
                **overrides,
            },
            priority="cmdline",
        )
        return settings

    async def crawl(
        self, spider: str, *, settings: Mapping[str, Any] | None = None, **arguments: str
    ) -> Crawled:
        """Run a spider in process, on the running event loop."""
        runner = AsyncCrawlerRunner(self.settings(**(settings or {})))
        crawler = runner.create_crawler(spider)
        items: list[PackageItem] = []

        def collect(item: Any) -> None:
            items.append(item)

        crawler.signals.connect(collect, signal=signals.item_scraped)
        await runner.crawl(crawler, **arguments)
        report = crawler.get_extension(RunReport)
        assert report is not None
        assert report.outcome is not None
        return Crawled(report.outcome, dict(crawler.stats.get_stats()), items)

    def environment(self) -> dict[str, str]:
        """The environment of a user's command in this place, free of the caller's service variables."""
        known = variables()
        inherited = {name: value for name, value in os.environ.items() if name not in known}
        return {
            **inherited,
            "PYF_ENV_FILE": "",
            **{name: str(value) for name, value in self.values.items()},
        }

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `scrapy ARGUMENTS` as a user would, in the checkout."""
        return subprocess.Popen(
            [sys.executable, "-m", "scrapy", *arguments],
            cwd=CHECKOUT,
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `scrapy ARGUMENTS` to its end."""
        with self.popen(*arguments) as process:
            output, errors = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def store(self) -> Store:
        return open_store(self.values)

    @contextmanager
    def running(self, *spiders: str) -> Iterator[None]:
        """Have the locks of running spiders, as these have."""
        with ExitStack() as stack:
            store = stack.enter_context(self.store())
            for spider in spiders:
                stack.enter_context(run_lock(store, spider))
            yield

    def connection(self) -> Connection:
        return connect(TypesenseSettings.from_settings(self.values))

    def documents(self, alias: str) -> dict[str, dict[str, Any]]:
        """All documents behind an alias by id, without the date of calculation."""
        with self.connection() as connection:
            found = {}
            for document in iter_documents(connection.client, alias):
                document.pop(CALCULATED, None)
                found[document["id"]] = document
        return found


class EmbeddedPlace(Place):
    """A place whose search server starts by itself; `kill_server(folder / "typesense")` ends it."""

    def __init__(self, folder: Path, pypi_url: str, extra: dict[str, Any] | None = None) -> None:
        super().__init__(folder, pypi_url, Server("", 0, "", ""), extra or {})

    @property
    def values(self) -> dict[str, Any]:
        others = {k: v for k, v in super().values.items() if not k.startswith("TYPESENSE_")}
        return {**others, "TYPESENSE_LINGER": 60}


def true_documents(replica: Replica, classifier: str) -> set[str]:
    """The ids of the documents that a collection for `classifier` must hold, no more and no less."""
    return {
        f"{name}=={release.version}"
        for name in replica.members(classifier)
        for release in replica.project(name).releases  # type: ignore[union-attr]  # a member exists
    }
