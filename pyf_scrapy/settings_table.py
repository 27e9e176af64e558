"""What a user may set, as a table: names of the seeds where they have one."""

from __future__ import annotations

from pyf_scrapy.setting_types import Setting

_SQL = ("sqlite", "postgresql", "postgresql+psycopg")
_REDIS = ("redis", "rediss", "unix")
_JOBS = ("feeds", "sync", "refresh", "github", "downloads", "health", "full")

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DEFAULT_PROFILE",
        None,
        "str",
        "profile used when none is named: a key, several with commas, or all",
        "Profiles",
    ),
    Setting(
        "PROFILES_FILE", None, "path", "the profiles (default: profiles.yaml beside scrapy.cfg)", "Profiles"
    ),
    Setting(
        "PYF_DATA_DIR", ".pyf", "path", "folder of everything that is kept; relative to scrapy.cfg", "Data"
    ),
    Setting("DATABASE_URL", None, "url", "the store (default: SQLite in PYF_DATA_DIR)", "Data", schemes=_SQL),
    Setting(
        "RUNS_KEPT",
        1_000,
        "int",
        "reports of runs that are kept of each spider (scrapy status --runs); 0 = none is written",
        "Data",
        maximum=100_000,
    ),
    Setting("PYPI_URL", "https://pypi.org", "url", "the package index", "PyPI"),
    Setting(
        "PYPI_MAX_RPS",
        None,
        "float",
        "requests a second of the whole process, with REDIS_URL of all processes, 0 = no ceiling (default: 5 "
        "on pypi.org, else 0)",
        "PyPI",
    ),
    Setting("PYPI_CONCURRENCY", 16, "int", "requests at the same time", "PyPI", minimum=1, maximum=200),
    Setting("PYPI_MAX_RETRIES", 3, "int", "further tries after a failed request", "PyPI", maximum=100),
    Setting(
        "PYPI_RETRY_BACKOFF",
        2.0,
        "float",
        "seconds before the first further try, doubled each time",
        "PyPI",
        maximum=3600,
    ),
    Setting(
        "INDEX_REFRESH",
        1800.0,
        "float",
        "seconds after which a long crawl reads the index again",
        "PyPI",
    ),
    Setting(
        "STALE_PATIENCE",
        300.0,
        "float",
        "seconds for which an answer older than promised is asked for again, with growing delays",
        "PyPI",
        maximum=3600,
    ),
    Setting(
        "USER_AGENT_CONTACT",
        None,
        "str",
        "address or URL shown in the user agent, so that PyPI can reach you",
        "PyPI",
    ),
    Setting(
        "RSS_DEDUP_TTL_NEW",
        None,
        "int",
        "seconds for which an entry of the feed of new packages is not fetched again, 0 = off (default: "
        "RSS_DEDUP_TTL)",
        "Feeds",
    ),
    Setting(
        "RSS_DEDUP_TTL_UPDATE",
        None,
        "int",
        "the same for an entry of the feed of releases (default: RSS_DEDUP_TTL)",
        "Feeds",
    ),
    Setting("RSS_DEDUP_TTL", 86_400, "int", "both, where they are not set", "Feeds"),
    Setting(
        "STATUS_MIN_COVERAGE",
        0.999,
        "float",
        "share of PyPI's projects that must be checked, and of a collection's packages that must be "
        "indexed, or `scrapy status --check` fails",
        "Limits",
        maximum=1,
    ),
    Setting(
        "STATUS_MAX_FEEDS_LAG",
        600.0,
        "float",
        "seconds since the feeds were read, where they are read at all; 0 = no limit",
        "Limits",
    ),
    Setting(
        "STATUS_MAX_INDEX_LAG",
        7200.0,
        "float",
        "seconds since the index was read, and age of the oldest unchecked change; 0 = no limit",
        "Limits",
    ),
    Setting(
        "STATUS_MAX_REFRESH_LAG",
        None,
        "float",
        "seconds since the package verified longest ago was, where refreshes run at all; 0 = no limit "
        "(default: 90000, or more when SCHEDULE_REFRESH gives all packages a turn in more than a day)",
        "Limits",
    ),
    Setting(
        "TYPESENSE_HOST",
        None,
        "host",
        "an external search server (default: one that starts by itself)",
        "Typesense",
    ),
    Setting("TYPESENSE_PORT", 8108, "int", "its port", "Typesense", minimum=1, maximum=65535),
    Setting("TYPESENSE_PROTOCOL", "http", "str", "http or https", "Typesense", choices=("http", "https")),
    Setting("TYPESENSE_API_KEY", None, "secret", "its key", "Typesense"),
    Setting(
        "TYPESENSE_TIMEOUT",
        120.0,
        "float",
        "seconds to wait for an answer",
        "Typesense",
        minimum=1,
        maximum=3600,
    ),
    Setting(
        "TYPESENSE_COLLECTION",
        None,
        "name",
        "collection used when neither profile nor collection is named",
        "Typesense",
    ),
    Setting(
        "TYPESENSE_LINGER",
        600.0,
        "float",
        "seconds that the server started by itself outlives its last user",
        "Typesense",
        maximum=604_800,
    ),
    Setting(
        "IMPORT_TYPESENSE_HOST",
        None,
        "host",
        "the search server that `collections import` reads, if it is another one than ours",
        "Import",
    ),
    Setting("IMPORT_TYPESENSE_PORT", 8108, "int", "its port", "Import", minimum=1, maximum=65535),
    Setting("IMPORT_TYPESENSE_PROTOCOL", "http", "str", "http or https", "Import", choices=("http", "https")),
    Setting("IMPORT_TYPESENSE_API_KEY", None, "secret", "its admin key; nothing is written there", "Import"),
    Setting(
        "DESCRIPTIONS",
        "latest",
        "str",
        "releases that carry long text: latest (and newest per framework version) or all",
        "Documents",
        choices=("latest", "all"),
    ),
    Setting(
        "RENDER_TIMEOUT",
        10.0,
        "float",
        "seconds that one README may take",
        "Documents",
        minimum=0.1,
        maximum=3600,
    ),
    Setting("RENDER_WORKERS", 2, "int", "processes that render READMEs", "Documents", minimum=1, maximum=64),
    Setting(
        "GITHUB_TOKEN",
        None,
        "secret",
        "token for GitHub's API: 5,000 requests an hour instead of 60, and 100 repositories in one",
        "GitHub",
    ),
    Setting("GITHUB_API_URL", "https://api.github.com", "url", "GitHub's API", "GitHub"),
    Setting(
        "GITHUB_REQUEST_DELAY", 0.75, "float", "least seconds between two requests", "GitHub", maximum=3600
    ),
    Setting(
        "GITHUB_MAX_AGE",
        72_000.0,
        "float",
        "seconds for which the facts of a repository are not asked for again",
        "GitHub",
    ),
    Setting(
        "DOWNLOADS_SOURCE",
        "pypistats",
        "str",
        "whose download figures the index shows, and the spider `pypistats` asks for",
        "Downloads",
        choices=("pypistats", "clickpy"),
    ),
    Setting(
        "PYPISTATS_URL",
        "https://pypistats.org",
        "url",
        "download figures, a project a request",
        "Downloads",
    ),
    Setting(
        "PYPISTATS_RATE_LIMIT_DELAY",
        2.0,
        "float",
        "least seconds between two requests to it; it allows 30 a minute",
        "Downloads",
        maximum=3600,
    ),
    Setting(
        "PYPISTATS_MAX_RETRIES", 3, "int", "further tries after a failed request", "Downloads", maximum=100
    ),
    Setting(
        "PYPISTATS_RETRY_BACKOFF",
        2.0,
        "float",
        "seconds before the first further try, doubled each time",
        "Downloads",
        maximum=3600,
    ),
    Setting(
        "CLICKPY_URL",
        "https://sql-clickhouse.clickhouse.com",
        "url",
        "download figures of thousands of projects in one request (DOWNLOADS_SOURCE=clickpy)",
        "Downloads",
    ),
    Setting(
        "DOWNLOADS_MAX_AGE",
        86_400.0,
        "float",
        "seconds for which the downloads of a package are not asked for again",
        "Downloads",
    ),
    Setting(
        "REDIS_URL",
        None,
        "url",
        "Redis or Valkey: ceilings and pauses for all processes together, and what of the feeds is done "
        "(default: the store)",
        "Queue",
        schemes=_REDIS,
    ),
    Setting("REDIS_HOST", None, "str", "HOST, HOST:PORT or a redis:// URL, instead of REDIS_URL", "Queue"),
    Setting(
        "SCHEDULE_FEEDS",
        "follow",
        "cron",
        "when `scrapy schedule` reads the feeds: `follow` = one process that reads them every 30 seconds, or "
        "as below",
        "Schedule",
        choices=("follow",),
        former=("CELERY_SCHEDULE_RSS_RELEASES", "CELERY_SCHEDULE_RSS_PROJECTS"),
    ),
    Setting(
        "SCHEDULE_SYNC",
        "*/30 * * * *",
        "cron",
        "when it fetches what changed: minute, hour, day, month and weekday as for cron; empty = off",
        "Schedule",
    ),
    Setting(
        "SCHEDULE_REFRESH",
        "5 * * * *",
        "cron",
        "when it asks again about what is indexed: a share each time, so that all have their turn in a day",
        "Schedule",
        former=("CELERY_SCHEDULE_WEEKLY_REFRESH",),
    ),
    Setting(
        "SCHEDULE_GITHUB",
        "30 3 * * *",
        "cron",
        "when it asks GitHub; without a token best each hour",
        "Schedule",
        former=("CELERY_SCHEDULE_WEEKLY_GITHUB",),
    ),
    Setting(
        "SCHEDULE_DOWNLOADS",
        "0 4 * * 0",
        "cron",
        "when it asks for downloads",
        "Schedule",
        former=("CELERY_SCHEDULE_WEEKLY_DOWNLOADS",),
    ),
    Setting("SCHEDULE_HEALTH", "15 0 * * *", "cron", "when it computes all scores again", "Schedule"),
    Setting(
        "SCHEDULE_FULL",
        "",
        "cron",
        "when it fetches everything again, changed or not; not needed, because serials tell what changed",
        "Schedule",
    ),
    Setting(
        "SCHEDULE_TIMEZONE",
        "UTC",
        "zone",
        "time zone of these times, such as Europe/Berlin",
        "Schedule",
    ),
    Setting(
        "SCHEDULE_LIMITS",
        None,
        "amounts",
        "seconds that a run may take, 0 = no limit (default: feeds=86400 sync=21600 refresh=7200 "
        "github=21600 downloads=86400 health=3600 full=345600; feeds=1800 where they do not follow)",
        "Schedule",
        choices=_JOBS,
    ),
    Setting(
        "SCHEDULE_PARALLEL",
        2,
        "int",
        "jobs that run at the same time, besides the feeds",
        "Schedule",
        minimum=1,
        maximum=16,
    ),
    Setting(
        "SCRAPYD_USERNAME", None, "secret", "user of the scrapyd that `scrapy schedule` posts to", "Schedule"
    ),
    Setting("SCRAPYD_PASSWORD", None, "secret", "and its password", "Schedule"),
)
