"""Scrapy's settings. What a user sets comes from the environment or `.env` (`pyf_scrapy.environment`)."""

import gc
import os
import sys
from types import TracebackType
from typing import Any
from urllib.request import getproxies

from pyf_scrapy import __version__
from pyf_scrapy.environment import ENV_FILE_VARIABLE, load_environment
from pyf_scrapy.exceptions import UsageProblem

# Nothing that a start makes ever goes, and an answer makes some thousand objects, nearly all of which go by
# themselves: looking for cycles less often saves a sixth of both.
gc.set_threshold(50_000, 20, 100)


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what ended the program, nothing for Ctrl-C while it starts; the exit code is the signal's."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _told


def _environment() -> dict[str, Any]:
    """The user's settings; a wrong one ends the command with one line before Scrapy starts."""
    # The demo takes nothing but the data folder: nothing else that is set may spoil it for a newcomer.
    demo = {"PYF_DATA_DIR": os.environ.get("PYF_DATA_DIR", ""), ENV_FILE_VARIABLE: ""}
    try:
        return load_environment(demo if sys.argv[1:2] == ["demo"] else None)
    except UsageProblem as error:
        sys.stderr.write(f"scrapy: error: {error}\n")
        raise SystemExit(error.exit_code) from None


# Project configuration: TYPESENSE_*, PYPI_*, PYF_DATA_DIR ... see example.env.
_user = _environment()
globals().update(_user)

BOT_NAME = "pyf_scrapy"
# Each module with a spider: Scrapy imports all that is in a package, and with what shares a crawl redis.
SPIDER_MODULES = [
    f"pyf_scrapy.spiders.{name}"
    for name in ("github", "health", "project", "pypi", "pypistats", "replicate", "rss")
]
NEWSPIDER_MODULE = "pyf_scrapy.spiders"
COMMANDS_MODULE = "pyf_scrapy.commands"

# PyPI asks for a user agent that says who crawls and how to reach them.
_contact = _user["USER_AGENT_CONTACT"]
USER_AGENT = f"pyf_scrapy/{__version__}" + (f" (+{_contact})" if _contact else "")
ROBOTSTXT_OBEY = False  # robots.txt of PyPI is about its web pages, this is a client of its APIs

# PackageSpider.update_settings turns PYPI_CONCURRENCY and PYPI_MAX_RPS into Scrapy's settings.
DOWNLOAD_DELAY = 0

# Politeness without being asked, by HostThrottle instead of Scrapy's AutoThrottle: a server that begins its
# answers within AUTOTHROTTLE_FAST_LATENCY seconds may have PYPI_CONCURRENCY requests at a time, one that
# takes longer has other work and gets fewer. No start delay: the first answers show the pace.
AUTOTHROTTLE_ENABLED = True
AUTOTHROTTLE_FAST_LATENCY = 0.5
AUTOTHROTTLE_MAX_DELAY = 5  # seconds; with 60, Scrapy's own, a few late answers would all but stop a crawl

# All HTTP goes through the gates of the hosts: 429, 503 and Retry-After hold for the whole process.
DOWNLOAD_HANDLERS = {
    "http": "pyf_scrapy.middlewares.download_handler.PoliteDownloadHandler",
    "https": "pyf_scrapy.middlewares.download_handler.PoliteDownloadHandler",
}

# What our own client does itself or does not do. Behind a proxy Scrapy's is used, and needs its middlewares.
_PROXIED = bool(getproxies())
HTTPPROXY_ENABLED = _PROXIED
COMPRESSION_ENABLED = _PROXIED
DOWNLOADER_STATS = False  # PoliteDownloadHandler counts by host

STATS_CLASS = "pyf_scrapy.stats.PlainStatsCollector"
SCHEDULER = "pyf_scrapy.scheduler.SupplyScheduler"

# Bounds: nothing a server sends may fill the memory or hang the crawl.
DOWNLOAD_TIMEOUT = 60
DOWNLOAD_MAXSIZE = 50 * 1024 * 1024  # the index sets its own, see spiders/fetching.py
DOWNLOAD_WARNSIZE = 0
CONCURRENT_ITEMS = 1  # a response yields one item; the default starts 100 tasks for each response
CONCURRENT_DIRTY_PACKAGES = 64  # Used by StoreSpider: stored packages in the pipelines at a time

# Safety: Scrapy's defaults are off, on and on.
DOWNLOAD_VERIFY_CERTIFICATES = True
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
REDIRECT_ENABLED = False  # names go in normal form; an answer from elsewhere is not PyPI's
METAREFRESH_ENABLED = False
COOKIES_ENABLED = False
HTTPERROR_ALLOW_ALL = True  # the spiders judge every status themselves
# No pickle, not with another scheduler and JOBDIR either: who can write to such a file would run code here.
SCHEDULER_DISK_QUEUE = "scrapy.squeues.MarshalLifoDiskQueue"
SCHEDULER_START_DISK_QUEUE = "scrapy.squeues.MarshalFifoDiskQueue"
FEED_EXPORTERS = {"pickle": None, "marshal": None}
FEED_STORAGES = dict.fromkeys(("", "file"), "pyf_scrapy.extensions.export_file.ExportFileStorage")

# Used by BackoffMiddleware, which replaces Scrapy's RetryMiddleware, and by PoliteDownloadHandler.
RETRY_HTTP_CODES = [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]
# Scrapy's, but for that of its client behind a proxy, with which the client itself is imported: 0.1 s.
RETRY_EXCEPTIONS: list[str | type[Exception]] = [
    "scrapy.exceptions.CannotResolveHostError",
    "scrapy.exceptions.DownloadConnectionRefusedError",
    "scrapy.exceptions.DownloadFailedError",
    "scrapy.exceptions.DownloadTimeoutError",
    "scrapy.exceptions.ResponseDataLossError",
    "twisted.internet.error.ConnectionDone",
    "twisted.internet.error.ConnectError",
    "twisted.internet.error.ConnectionLost",
    OSError,
]
if _PROXIED:
    RETRY_EXCEPTIONS.append("scrapy.core.downloader.handlers.http11.TunnelError")
BACKOFF_MAX_DELAY = 3600  # seconds; a longer Retry-After is not believed
BACKOFF_THROTTLED_RETRIES = 20
# Of Scrapy's own components only these: what is switched off in the usual way is imported all the same, which
# takes 0.2 s and 12 MB of each start. Those left out change nothing here, pickle, or are replaced by ours.
DOWNLOADER_MIDDLEWARES_BASE: dict[str, int] = (
    {
        "scrapy.downloadermiddlewares.downloadtimeout.DownloadTimeoutMiddleware": 350,
        "scrapy.downloadermiddlewares.defaultheaders.DefaultHeadersMiddleware": 400,
        "scrapy.downloadermiddlewares.useragent.UserAgentMiddleware": 500,
        "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": 590,
        "scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware": 750,
    }
    if _PROXIED
    else {}
)
SPIDER_MIDDLEWARES_BASE: dict[str, int] = {}
EXTENSIONS_BASE: dict[str, int] = {
    "scrapy.extensions.corestats.CoreStats": 0,
    "scrapy.extensions.logcount.LogCount": 0,
    "scrapy.extensions.memusage.MemoryUsage": 0,
    "scrapy.extensions.closespider.CloseSpider": 0,
    "scrapy.extensions.feedexport.FeedExporter": 0,
}
DOWNLOADER_MIDDLEWARES = {"pyf_scrapy.middlewares.backoff.BackoffMiddleware": 560}
WARN_ON_GENERATOR_RETURN_VALUE = False  # looks at the source of the callback with each answer

ITEM_PIPELINES = {
    "pyf_scrapy.pipelines.classifiers.ClassifierFilterPipeline": 100,
    "pyf_scrapy.pipelines.versions.VersionsPipeline": 200,
    "pyf_scrapy.pipelines.descriptions.DescriptionsPipeline": 300,
    "pyf_scrapy.pipelines.health.HealthPipeline": 400,
    "pyf_scrapy.pipelines.duplicates.DuplicatesPipeline": 500,
    "pyf_scrapy.pipelines.typesense.TypesensePipeline": 900,
}
# Used by TypesensePipeline: a batch is sent when it has so many documents or bytes, or after so many seconds.
TYPESENSE_BATCH_DOCUMENTS = 250
TYPESENSE_BATCH_BYTES = 2 * 1024 * 1024
TYPESENSE_BATCH_LINGER = 0.1

EXTENSIONS = {
    # In place of AutoThrottle, which goes below PYPI_MAX_RPS, and spares nobody at 16.
    "pyf_scrapy.extensions.throttle.HostThrottle": 0,
    "pyf_scrapy.extensions.report.RunReport": 10,
    "pyf_scrapy.extensions.progress.ProgressExtension": 20,
}
RUN_REPORT_INTERVAL = 900  # seconds between the reports of a run that ends only when it is interrupted
PROGRESS_INTERVAL = 30  # seconds between log lines when there is no terminal

# What -O packages.jsonl writes of a PackageItem; documents and descriptions repeat it, rendered.
FEED_EXPORT_FIELDS = [
    "name",
    "normalized_name",
    "serial",
    "classifiers",
    "profiles",
    "project",
    "releases",
    "repository",
    "downloads",
    "health",
    "failures",
]
FEED_EXPORT_ENCODING = "utf-8"

LOG_LEVEL = "INFO"
LOG_FORMATTER = "pyf_scrapy.logformatter.PackageLogFormatter"
