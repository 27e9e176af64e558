"""Whoever comes from pyf.aggregator looks up what he typed there: each word must lead to something real.

The lists are facts of pyf.aggregator: of its two earlier READMEs (the seeds) and of its version of July 2026.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pyf_scrapy.environment import RENAMED, obsolete
from pyf_scrapy.search.schema import SCHEMA
from pyf_scrapy.settings_table import SETTINGS
from tests import readme_tables, test_readme
from tests.takeover import upstream

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "coming-from-pyf-aggregator.md").read_text()

#: Section -> commands and options.
COMMANDS = {
    "pyfaggregator and `pyfa pypi`": (
        *("pyfaggregator", "pyfa pypi", "-f", "--first", "-i", "--incremental", "--refresh-from-pypi"),
        *("-s", "--sincefile", "-l", "--limit", "-fn", "--filter-name", "-ft", "--filter-troove"),
        *("-p", "--profile", "-t", "--target", "--no-plone-filter", "--discovery", "--show"),
        *("--all-versions", "--recreate-collection", "--force"),
    ),
    "pyfgithub and `pyfa github`": (
        *("pyfgithub", "pyfa github", "-p", "--profile", "-t", "--target", "-n", "--name"),
        *("-v", "--verbose", "--report-dir"),
    ),
    "pyfdownloads and `pyfa downloads`": (
        *("pyfdownloads", "pyfa downloads", "-p", "--profile", "-t", "--target", "-l", "--limit"),
    ),
    "`pyfa health`": ("pyfa health", "-p", "--profile", "-t", "--target", "-l", "--limit"),
    "pyfupdater and `pyfa manage`": (
        *("pyfupdater", "pyfa manage", "-ls", "--list-collections", "-lsn", "--list-collection-names"),
        *("-lsa", "--list-aliases", "-lssoa", "--list-search-only-apikeys", "--migrate", "--add-alias"),
        *("--add-search-only-apikey", "-key", "--key", "--delete-apikey", "--delete-collection"),
        *("--recreate-collection", "--purge-queue", "--queue-stats", "--show", "--all-versions"),
        *("-f", "--force", "-s", "--source", "-t", "--target", "-p", "--profile"),
    ),
    "`pyfa npm`": (
        *("pyfa npm", "-f", "--first", "-i", "--incremental", "--refresh-from-npm", "-l", "--limit"),
        *("-fn", "--filter-name", "-p", "--profile", "-t", "--target"),
    ),
    "PyPI on CouchDB": ("pypioncouch --fullimport", "pypioncouch --update"),
}

VARIABLES = (
    *("TYPESENSE_HOST", "TYPESENSE_PORT", "TYPESENSE_PROTOCOL", "TYPESENSE_API_KEY", "TYPESENSE_TIMEOUT"),
    *("TYPESENSE_COLLECTION", "DEFAULT_PROFILE", "PYPI_MAX_WORKERS", "PYPI_BATCH_SIZE", "PYPI_MAX_RPS"),
    *("PYPI_RATE_LIMIT_DELAY", "PYPI_MAX_RETRIES", "PYPI_RETRY_BACKOFF", "PYPI_DISCOVERY"),
    *("BIGQUERY_PROJECT", "BIGQUERY_PYPI_TABLE", "GOOGLE_CLOUD_PROJECT", "GITHUB_TOKEN"),
    *("GITHUB_REQUEST_DELAY", "GITHUB_COOLOFFTIME", "PYPISTATS_RATE_LIMIT_DELAY", "PYPISTATS_MAX_RETRIES"),
    *("PYPISTATS_RETRY_BACKOFF", "NPM_AUTH_TOKEN", "NPM_MAX_WORKERS", "NPM_MAX_RPS", "NPM_MAX_RETRIES"),
    *("NPM_RETRY_BACKOFF", "JSDELIVR_CDN_URL", "JSDELIVR_DATA_URL", "REDIS_HOST", "RSS_DEDUP_TTL"),
    *("RSS_DEDUP_TTL_NEW", "RSS_DEDUP_TTL_UPDATE", "CELERY_SCHEDULE_RSS_PROJECTS"),
    *("CELERY_SCHEDULE_RSS_RELEASES", "CELERY_SCHEDULE_WEEKLY_REFRESH", "CELERY_SCHEDULE_WEEKLY_DOWNLOADS"),
    *("CELERY_SCHEDULE_WEEKLY_GITHUB", "CELERY_SCHEDULE_MONTHLY_FETCH", "CELERY_WORKER_POOL"),
    *("CELERY_WORKER_CONCURRENCY", "CELERY_WORKER_PREFETCH_MULTIPLIER", "CELERY_TASK_SOFT_TIME_LIMIT"),
    *("CELERY_TASK_TIME_LIMIT", "CELERY_TASK_RATE_LIMIT"),
)

TASKS = (
    *("inspect_project", "update_project", "update_github", "queue_all_github_updates"),
    *("read_rss_new_projects_and_queue", "read_rss_new_releases_and_queue"),
    *("refresh_all_indexed_packages", "full_fetch_all_packages", "enrich_downloads_all_packages"),
)

SCHEDULES = (
    *("RSS new projects", "RSS new releases", "Weekly refresh", "Weekly downloads", "Weekly GitHub"),
    "Monthly full fetch",
)

FIELDS = (
    *("id", "postfix", *(field["name"] for field in upstream.SCHEMA), *upstream.BESIDE),
    *("health_problems_documentation", "health_problems_metadata", "health_problems_recency"),
)

#: Words of the seeds that look like variables or fields.
NO_VARIABLES = {"PACKAGE_NAME"}
NO_FIELDS = {
    *("package_name", "day_of_week", "day_of_month", "test_fetcher"),
    *("your_custom_key", "your_secret_typesense_apikey", "your_secret_github_apikey"),
}


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str = TEXT) -> Iterator[tuple[str, str]]:
    """What is there and what is here, of each row of the tables "there | here"."""
    for table in re.findall(r"^\| there \| here \|\n\| --- \| --- \|\n((?:\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines():
            there, here = row.strip("| ").split(" | ")
            yield there, here


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def there(title: str) -> dict[str, str]:
    """What is set as code in the first column of a section -> what is here."""
    return {word: here for cell, here in rows(section(title)) for word in code(cell)}


class TestEverythingIsThere:
    @pytest.mark.parametrize("title", COMMANDS)
    def test_commands_and_options(self, title: str) -> None:
        assert not set(COMMANDS[title]) - set(there(title))

    def test_variables(self) -> None:
        assert set(there("Environment variables")) == set(VARIABLES)

    def test_tasks(self) -> None:
        assert set(TASKS) <= set(there("Celery tasks"))

    def test_schedules(self) -> None:
        cells = [cell for cell, _ in rows(section("Schedules"))]
        assert not [name for name in SCHEDULES if not any(cell.startswith(name) for cell in cells)]

    def test_fields(self) -> None:
        assert set(there("Fields")) == set(FIELDS)

    def test_what_the_seeds_speak_of(self) -> None:
        folder = Path(os.environ.get("PYF_SEEDS", ROOT.parent / "shared" / "seeds"))
        if not folder.is_dir():
            pytest.skip("no seeds: set PYF_SEEDS to their folder")
        seeds = "\n".join(path.read_text() for path in sorted(folder.glob("*.txt")))
        known = {word for cell, _ in rows() for text in code(cell) for word in text.split()}
        known = {word.partition("=")[0] for word in known}
        options = set(re.findall(r"(?:^|[\s`|])(--?[a-z][a-z-]*)(?=[\s`,=]|$)", seeds, re.MULTILINE))
        assert {"--fullimport", "--list-search-only-apikeys", "-lssoa", "-key", "-v"} <= options
        assert not options - known - {"-d", "-A"}, "options of docker-compose and celery"
        variables = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", seeds))
        assert not variables - set(VARIABLES) - NO_VARIABLES
        fields = set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", seeds))
        assert not fields - known - NO_FIELDS


class TestWhatIsHereExists:
    @pytest.mark.parametrize("here", sorted({here for _, here in rows()}))
    def test_or_it_is_said_why_it_does_not(self, here: str) -> None:
        """Each word that is set as code: a command line, an argument, a setting, a field ..."""
        words = code(here)
        assert words or re.search(r"^(the same\b|dropped because \w)|: dropped because \w", here)
        for word in words:
            assert exists(word), word

    def test_fields_of_the_same_name_are_fields(self) -> None:
        same = [word for cell, here in rows(section("Fields")) if here == "the same" for word in code(cell)]
        assert len(same) > 50
        assert not set(same) - {field.name for field in SCHEMA}

    def test_commands_in_the_text(self) -> None:
        lines = [line for line in code(TEXT) if line.startswith("scrapy ")]
        assert len(lines) > 50
        assert not [line for line in lines if not exists(line)]

    def test_settings_in_the_text(self) -> None:
        spoken = set(re.findall(r"\bIMPORT_[A-Z_]+\b", TEXT))
        assert spoken == {"IMPORT_TYPESENSE_HOST", "IMPORT_TYPESENSE_API_KEY"}
        assert all(map(exists, spoken))

    def test_readme_leads_here(self) -> None:
        assert "](docs/coming-from-pyf-aggregator.md)" in test_readme.section("Coming from pyf.aggregator")


def exists(word: str) -> bool:
    """Whether what is set as code in the second column is something of ours."""
    if word.startswith("scrapy "):
        line = word.removeprefix("scrapy ")
        test_readme.TestCommands().test_it_is_a_command_of_scrapy(line)
        return True
    if word.endswith("="):
        return word[:-1] in readme_tables.ARGUMENTS
    if word.startswith("make "):
        return f"\n{word.removeprefix('make ')}:" in (ROOT / "Makefile").read_text()
    if word.startswith("docker compose up -d "):
        return f"\n  {word.split()[-1]}:" in (ROOT / "docker-compose.yml").read_text()
    known = {field.name for field in SCHEMA} | {setting.name for setting in SETTINGS}
    return word in known or word in {"all", ";"} or (ROOT / word).is_file()


class TestVariables:
    """An old .env is used as it is."""

    @pytest.mark.parametrize("name", VARIABLES)
    def test_each_is_read_or_named_once_with_its_successor(self, name: str) -> None:
        here = there("Environment variables")[name]
        if name in {setting.name for setting in SETTINGS}:
            assert code(here)[0] == name
            assert obsolete({name: "x"}) == []
            return
        successors = [setting.name for setting in SETTINGS if name in setting.former]
        if successors:
            assert code(here)[0] == successors[0]
            assert obsolete({name: "x"}) == []
            return
        reason = next(reason for pattern, reason in RENAMED.items() if fnmatchcase(name, pattern))
        assert obsolete({name: "x"}) == [f"{name} is not used; {reason}"]
        said = here.replace("`", "").removeprefix("dropped because ")
        assert said == reason.removeprefix("not needed: ")
