"""The Python API, for scripts and notebooks: `from pyf_scrapy.api import crawl, search, show, status`.

Settings are those of the commands: the environment, or `.env` in the working directory. Each function takes
others for one call (`settings={"PYF_DATA_DIR": "/srv/pyf"}`). Everything that goes wrong is a PyfError, whose
text is one line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from pyf_scrapy.environment import load_environment, variables
from pyf_scrapy.exceptions import AlreadyRunningError, NotFoundError, PyfError, UsageProblem
from pyf_scrapy.lookup import existing_collection
from pyf_scrapy.profiles import load_profiles, select
from pyf_scrapy.search import queries
from pyf_scrapy.status import Overview, overview

__all__ = [
    "CrawlError",
    "CrawlResult",
    "Found",
    "Overview",
    "Package",
    "Page",
    "crawl",
    "full_import",
    "search",
    "show",
    "status",
    "update",
]

Spider = Literal["pypi", "project", "rss", "github", "pypistats", "health", "replicate"]
Settings = Mapping[str, object]

_SOME_FAILED = 3
_LAST_SECONDS = 30  # for what is under way when a crawl is interrupted
_LONGEST_MESSAGE = 2_000  # characters of what a crawl said


@dataclass(frozen=True)
class CrawlResult:
    """What a crawl came to. `figures` are those of its summary (docs/reading-a-run.md),
    `hosts` what was asked of each host and what it sent."""

    spider: str
    exit_code: int
    message: str
    figures: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def some_failed(self) -> bool:
        """Whether packages failed: `status().failed` names them, and the next crawl tries again."""
        return self.exit_code == _SOME_FAILED


class CrawlError(PyfError):
    """Raised by `crawl` when a source or service failed; `result` is what was done, if it began."""

    def __init__(self, message: str, result: CrawlResult | None = None) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Found:
    """A package that a search found, by its latest release. `document`: all that the search returned."""

    name: str
    version: str
    summary: str
    health_score: int | None
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """One page of a search; `found` packages are on all pages. `facets`: field -> value -> packages."""

    found: int
    page: int
    per_page: int
    packages: tuple[Found, ...]
    facets: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Package:
    """A package of a collection. `latest` is the document of its latest release (docs/documents.md),
    `versions` those of all releases, newest first."""

    name: str
    collection: str
    latest: Mapping[str, Any]
    versions: tuple[Mapping[str, Any], ...]

    @property
    def version(self) -> str:
        return str(self.latest["version"])

    @property
    def health_score(self) -> int | None:
        return self.latest.get("health_score")


def crawl(
    profile: str | None = None,
    *,
    spider: Spider = "pypi",
    settings: Settings | None = None,
    timeout: float | None = None,
    **arguments: object,
) -> CrawlResult:
    """Run a crawl to its end, as `scrapy crawl SPIDER -a profile=PROFILE` does.

    `arguments` are those of the spider (docs/commands.md): `limit=100`, `releases="latest"`, `full=True`.
    It is a process of its own: as many crawls as you like, one after the other or in threads, also where an
    event loop runs, as in a notebook. An interrupt lets it finish what is under way. With `timeout` (seconds)
    it is interrupted then, and CrawlError raised; the same call goes on from there.

    Raises UsageProblem for a wrong argument, AlreadyRunningError when this spider runs on the same store,
    CrawlError when a source or service failed. That single packages failed is no error (`some_failed`).
    """
    given = {name: _text(name, value) for name, value in arguments.items() if value is not None}
    if profile is not None:
        given["profile"] = profile
    command = [sys.executable, "-m", "scrapy", "crawl", "--json", "-L", "WARNING", str(spider)]
    for name, value in given.items():
        command += ["-a", f"{name}={value}"]
    environment = _environment(settings) | {
        "SCRAPY_SETTINGS_MODULE": "pyf_scrapy.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, (_folder(), os.environ.get("PYTHONPATH")))),
    }
    code, output, errors = _run(command, environment, timeout)
    result = _result(str(spider), code, output)
    if code in (0, _SOME_FAILED) and result is not None:
        return result
    said = _last_error(errors) or (result.message if result is not None else f"ended with {code}")
    if code == UsageProblem.exit_code:
        raise UsageProblem(said)
    if code == AlreadyRunningError.exit_code:
        raise AlreadyRunningError(said)
    raise CrawlError(said, result)


def full_import(profile: str | None = None, **arguments: Any) -> CrawlResult:
    """Fetch everything that the profiles take, whether it is stored or not: `crawl(profile, full=True)`."""
    return crawl(profile, full=True, **arguments)


def update(profile: str | None = None, **arguments: Any) -> CrawlResult:
    """Fetch what changed since the last time; everything, the first time: `crawl(profile)`."""
    return crawl(profile, **arguments)


def search(
    query: str = "",
    *,
    profile: str | None = None,
    collection: str | None = None,
    page: int = 1,
    per_page: int = 20,
    filter_by: str = "",
    sort_by: str = "",
    settings: Settings | None = None,
) -> Page:
    """Search the packages of a collection, best first; without words those of the best health.

    The collection is that of `profile`, or `collection`, else TYPESENSE_COLLECTION or that of
    DEFAULT_PROFILE. `filter_by` and `sort_by` are Typesense's ("health_score:>80").

    Raises UsageProblem, SearchError.
    """
    effective = _settings(settings)
    name = _collection(effective, profile, collection)
    with existing_collection(effective, name, _profiles(effective).values()) as client:
        found = queries.search(
            client, name, query, page=page, per_page=per_page, filter_by=filter_by, sort_by=sort_by
        )
    packages = tuple(
        Found(row["name"], row["version"], row["summary"] or "", row["health_score"], row)
        for row in found.rows
    )
    return Page(found.found, found.page, found.per_page, packages, found.facets)


def show(
    name: str,
    *,
    profile: str | None = None,
    collection: str | None = None,
    settings: Settings | None = None,
) -> Package:
    """A package by any spelling of its name, with the documents of all its releases.

    Raises NotFoundError where the collection (see `search`) has none of this name, UsageProblem, SearchError.
    """
    effective = _settings(settings)
    alias = _collection(effective, profile, collection)
    with existing_collection(effective, alias, _profiles(effective).values()) as client:
        documents = queries.show(client, alias, name, all_versions=True)
    if not documents:
        raise NotFoundError(f"no package {name[:200]!r} in {alias}")
    return Package(documents[0]["name"], alias, documents[0], tuple(documents))


def status(
    *, profile: str | None = None, collection: str | None = None, settings: Settings | None = None
) -> Overview:
    """How far the crawl is, how old what is known is, what is indexed, what failed and what ran last.

    Of all collections unless one is named. Nothing is changed or started. Raises StoreError, UsageProblem.
    """
    effective = _settings(settings)
    is_named = profile is not None or collection is not None
    name = _collection(effective, profile, collection) if is_named else None
    return overview(effective, now=int(time.time()), collection=name, all_failures=True)


def _folder() -> str:
    """The folder that the package is in."""
    return str(Path(__file__).parents[1])


def _text(name: str, value: object) -> str:
    """An argument as it stands on a command line: classifiers have commas of their own."""
    if isinstance(value, bool):
        return str(int(value))
    between = ";" if name == "classifier" else ","
    return between.join(map(str, value)) if isinstance(value, list | tuple | set) else str(value)


def _environment(settings: Settings | None) -> dict[str, str]:
    """The environment with other settings: never on a command line, where everybody on the machine sees them.

    None is not set, as an empty value is. Raises UsageProblem.
    """
    if unknown := sorted((settings or {}).keys() - variables()):
        raise UsageProblem(f"there is no setting {unknown[0]!r}; example.env has all of them")
    given = {name: "" if value is None else str(value) for name, value in (settings or {}).items()}
    return {**os.environ, **given}


def _settings(settings: Settings | None) -> dict[str, Any]:
    return load_environment(_environment(settings))


def _profiles(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return load_profiles(settings.get("PROFILES_FILE"))


def _collection(settings: Mapping[str, Any], profile: str | None, collection: str | None) -> str:
    """Raises UsageProblem when none or several are named."""
    if profile is not None and collection is not None:
        raise UsageProblem("give profile= or collection=, not both")
    if profile is None and (named := collection or settings.get("TYPESENSE_COLLECTION")):
        return str(named)
    spec = profile or settings.get("DEFAULT_PROFILE")
    if not spec:
        raise UsageProblem("which collection? give profile= or collection=, or set DEFAULT_PROFILE")
    chosen = select(spec, _profiles(settings))
    if len(chosen) > 1:
        raise UsageProblem(f"one profile at a time, not {', '.join(one.key for one in chosen)}")
    return chosen[0].collection


def _run(command: list[str], environment: dict[str, str], timeout: float | None) -> tuple[int, str, str]:
    """Exit code, output and errors of a process. What interrupts us interrupts it."""
    with subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C of a terminal would reach it, too, and two are an order to die
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            output, errors = _interrupted(process)
        except BaseException:
            _interrupted(process)
            raise
    return process.returncode, output, errors


def _interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=_LAST_SECONDS)
    except BaseException:
        process.kill()  # nothing stored is lost
        return process.communicate()


def _result(spider: str, code: int, output: str) -> CrawlResult | None:
    """What a crawl printed; None when it ended without a summary."""
    try:
        said = msgspec.json.decode(output.encode(), type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    figures = {name: value for name, value in said.items() if isinstance(value, int) and name != "exit_code"}
    return CrawlResult(spider, code, said["message"], figures, said["hosts"])


def _last_error(errors: str) -> str:
    """The last error of a log, or the last line of a command that did not begin."""
    lines = [line for line in errors.splitlines() if line.strip()]
    logged = [line.partition("] ERROR: ")[2] for line in lines if "] ERROR: " in line]
    said = [line.partition(": ")[2] for line in lines if line.startswith("scrapy ")]
    return (logged or said or [""])[-1][:_LONGEST_MESSAGE]
