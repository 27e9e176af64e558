"""Settings that come from the environment or from `.env`, as a table, and the reading of them.

`.env` stands beside scrapy.cfg, else in the working directory, never above. The variable PYF_ENV_FILE
names another file; set to nothing it means none. What the environment sets (even to nothing) beats
`.env`; a setting that is empty counts as not set. Nothing is read when this module is imported.
"""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.setting_types import Setting

ENV_FILE_VARIABLE = "PYF_ENV_FILE"
ENV_FILE_MAX_BYTES = 100_000
PYPI_HOSTS = ("pypi.org", "test.pypi.org")
PYPI_RPS = 5.0  # on pypi.org: far below what its CDN notices, 49 hours for every project

_SQL = ("sqlite", "postgresql", "postgresql+psycopg")
_REDIS = ("redis", "rediss", "unix")

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
    Setting("PYPI_URL", "https://pypi.org", "url", "the package index", "PyPI"),
    Setting(
        "PYPI_MAX_RPS",
        None,
        "float",
        "requests a second of the whole process, 0 = no ceiling (default: 5 on pypi.org, else 0)",
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
        90_000.0,
        "float",
        "seconds since the package verified longest ago was, where refreshes run at all; 0 = no limit",
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
    Setting("GITHUB_TOKEN", None, "secret", "token for GitHub's API", "GitHub"),
    Setting("GITHUB_API_URL", "https://api.github.com", "url", "GitHub's API", "GitHub"),
    Setting("PYPISTATS_URL", "https://pypistats.org", "url", "the download figures", "pypistats"),
    Setting(
        "REDIS_URL",
        None,
        "url",
        "Redis or Valkey: what of the feeds is done (default: the store)",
        "Queue",
        schemes=_REDIS,
    ),
    Setting("REDIS_HOST", None, "str", "HOST, HOST:PORT or a redis:// URL, instead of REDIS_URL", "Queue"),
)

# Names of pyf.aggregator that mean nothing here -> what to use instead, or why it is not needed.
RENAMED: Mapping[str, str] = {
    "PYPI_MAX_WORKERS": "use PYPI_CONCURRENCY",
    "PYPI_BATCH_SIZE": "not needed: packages are streamed",
    "PYPI_RATE_LIMIT_DELAY": "use PYPI_MAX_RPS (1 / the delay)",
    "PYPI_DISCOVERY": "not needed: PyPI's simple index has every name",
    "GITHUB_COOLOFFTIME": "not needed: GitHub says itself when to pause",
    "GITHUB_REQUEST_DELAY": "not needed: GitHub says itself when to pause",
    "PYPISTATS_RATE_LIMIT_DELAY": "not needed: the limits of pypistats.org are kept",
    "PYPISTATS_MAX_RETRIES": "not needed: the limits of pypistats.org are kept",
    "PYPISTATS_RETRY_BACKOFF": "not needed: the limits of pypistats.org are kept",
    "CELERY_SCHEDULE_*": "use cron",
    "CELERY_*": "not needed: there is no Celery",
    "BIGQUERY_*": "not needed: PyPI's simple index has every name",
    "NPM_*": "npm packages are not indexed",
    "JSDELIVR_*": "npm packages are not indexed",
}


def project_folder(start: Path | None = None) -> Path | None:
    """The folder of the closest scrapy.cfg at or above `start` (default: the working directory), or None."""
    folder = (start or Path.cwd()).resolve()
    return next((parent for parent in (folder, *folder.parents) if (parent / "scrapy.cfg").is_file()), None)


def find_env_file(environ: Mapping[str, str], start: Path | None = None) -> Path | None:
    """The `.env` that counts, or None. Raises UsageProblem when PYF_ENV_FILE names what is no file."""
    named = environ.get(ENV_FILE_VARIABLE)
    if named is not None:
        if named and not Path(named).is_file():
            raise UsageProblem(
                f"{ENV_FILE_VARIABLE} names {named!r}, which is not a file; set it to nothing for none"
            )
        return Path(named) if named else None
    folder = start or Path.cwd()
    candidates = [parent / ".env" for parent in (project_folder(folder), folder) if parent]
    return next((path for path in candidates if path.is_file()), None)


def read_env_file(path: Path) -> dict[str, str]:
    """The values of a `.env` file as written (no `${...}` is expanded).

    Raises UsageProblem naming the line (never its text, it may hold a secret).
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(ENV_FILE_MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageProblem(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    if len(data) > ENV_FILE_MAX_BYTES:
        raise UsageProblem(
            f"{path}: larger than {ENV_FILE_MAX_BYTES:,} bytes; this cannot be a file of settings"
        )
    values = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise UsageProblem(f"{path}:{binding.original.line}: not NAME=value; comments begin with #")
        if binding.key:
            values[binding.key] = binding.value or ""
    return values


def load_environment(environ: Mapping[str, str] | None = None, start: Path | None = None) -> dict[str, Any]:
    """Every setting by name, from `environ` (default: the process's) and `.env`. Raises UsageProblem."""
    environ = os.environ if environ is None else environ
    path = find_env_file(environ, start)
    values = {**(read_env_file(path) if path else {}), **environ}
    return read_environment(values, project_folder(start) or start or Path.cwd())


def read_environment(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Every setting by name: converted, checked, or its default. Paths are absolute, relative to `folder`.

    Raises UsageProblem naming the variable, its value (unless that may be a secret) and what would be right.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        values[setting.name] = setting.read(environ.get(setting.name, ""), folder)
    return values


def ceiling(pypi_url: str, requests_per_second: float | None) -> float:
    """Requests a second for this PyPI: as set, else 5 on pypi.org and no ceiling (0) elsewhere."""
    if requests_per_second is not None:
        return requests_per_second
    return PYPI_RPS if urlsplit(pypi_url).hostname in PYPI_HOSTS else 0.0


def obsolete(environ: Mapping[str, str]) -> list[str]:
    """One line for each variable that is set but not used: of the seeds, or mistyped. Best asked about `.env`
    only: other programs may well own a REDIS_HOST.
    """
    known = {setting.name: setting for setting in SETTINGS}
    families = {name.partition("_")[0] + "_" for name in known}
    hints = []
    for name in sorted(environ.keys() - known.keys() - {ENV_FILE_VARIABLE}):
        reason = next((reason for pattern, reason in RENAMED.items() if fnmatchcase(name, pattern)), None)
        if reason:
            hints.append(f"{name} is not used; {reason}")
        elif name.startswith(tuple(families)):
            near = difflib.get_close_matches(name, known, n=1)
            hints.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return hints


def example_env() -> str:
    """The text of example.env: every setting with its help and default, commented out."""
    lines = [
        "# Settings. Copy this file to .env (beside scrapy.cfg) and take the # from what you change.",
        "# The environment beats .env; an empty value counts as not set.",
    ]
    component = ""
    for setting in SETTINGS:
        if setting.component != component:
            component = setting.component
            lines += ["", f"# --- {component}"]
        lines += [
            f"# {setting.help}",
            f"#{setting.name}={setting.default_text}",
        ]
    return "\n".join(lines) + "\n"
