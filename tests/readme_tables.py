"""The tables of README and docs/, made from the code. `python -m tests.readme_tables` writes them again.

What the code does not say (what an argument means, what to do about a figure) stands here; a test compares
both ways, so that nothing is missing and nothing is described that does not exist.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader

import pyf_scrapy.commands
from benchmarks import report
from benchmarks.case import Claim
from pyf_scrapy.command import ActionCommand
from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.extensions.outcome import FIGURES
from pyf_scrapy.metadata.health import RULES
from pyf_scrapy.metadata.repositories import PROBLEMS
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.schedule.jobs import KINDS, Job, planned
from pyf_scrapy.search.queries import QUERY_FIELDS
from pyf_scrapy.search.schema import SCHEMA, Field
from pyf_scrapy.setting_types import Setting
from pyf_scrapy.settings_table import SETTINGS
from pyf_scrapy.spiders.store_spider import StoreSpider

ROOT = Path(__file__).parents[1]
#: README and what it links to.
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PACKAGE = ROOT / "pyf_scrapy"

PROFILE_KEYS = {
    "name": "for people",
    "classifiers": "trove classifiers; each covers itself and what stands below it, never a neighbour: "
    '`Framework :: Django` does not take `Framework :: Django CMS`. `"*"` takes every package',
    "hints": "words that members probably have in their names; these are fetched first",
    "include": "names that belong to it whatever their classifiers; `*`, `?` and `[abc]` as in file names",
    "exclude": "names that never belong to it; beats `include`",
    "synonyms": "words that mean the same in a search, see [Relevance](docs/search-server.md#relevance)",
}

SPIDERS = {
    "github": "the repositories of indexed packages, each once, most wanted first",
    "health": "indexed packages: their scores as of today, without a request (`scrapy health` is the same)",
    "project": "the command line or a requirements file; without profile and classifier all of them are "
    "indexed, and `DEFAULT_PROFILE` is ignored. With `refresh=1`: everything indexed",
    "pypi": "PyPI's index, where its serial is not the stored one: everything at first, then what changed",
    "pypistats": "indexed packages: how often they are downloaded, most wanted first",
    "replicate": "another instance, of which this one is a copy (`scrapy replicate URL` is the same)",
    "rss": "PyPI's two feeds, the newest releases and the newest projects",
}

#: Argument -> value, meaning.
ARGUMENTS = {
    "profile": ("`KEY`, `KEY,KEY` or `all`", "profiles to fill; default: `DEFAULT_PROFILE`"),
    "classifier": ("`CLASSIFIER;CLASSIFIER` or `*`", "instead of a profile; needs `collection`"),
    "collection": ("`NAME`", "the collection to fill; default: the key of the profile"),
    "limit": ("`N`", "fetch, or ask about, at most so many"),
    "releases": (
        "`all`, `latest` or `N`",
        "so many of the newest releases; kept with the collection, at first `all`",
    ),
    "name": (
        "`WORD`",
        "`pypi`: only projects with this in their normalized name; `github`, `pypistats`, `health`: this "
        "package only, however young what is known of it",
    ),
    "verbose": ("`1`", "show what was asked and answered"),
    "full": ("`1`", "fetch again what is up to date, too; interrupted, it begins anew"),
    "names": ("`NAME,NAME`", "the packages"),
    "requirements": ("`FILE`", "a requirements file that names them"),
    "accept_removals": (
        "`1`",
        "believe that very many packages are gone at once; without it such an index is refused",
    ),
    "refresh": ("`1`", "ask again about everything indexed, with conditional requests"),
    "share": ("`1/24`", "of a refresh only the part that is due: what was verified longest ago"),
    "follow": (
        "`SECONDS`, `1`",
        "until it is interrupted: `rss` reads the feeds every so many seconds, `replicate` asks for news, "
        "`project` waits for names",
    ),
    "push": ("`1`", "with `REDIS_URL`: workers of `crawl project -a follow=1` ask about what the feeds name"),
    "url": ("`http(s)://HOST[:PORT]`", "where the other instance is served"),
    "whole": ("`1`", "copy all facts, not only those of the profiles"),
    "anew": ("`1`", "read everything again, and keep only that"),
}

FIELD_GROUPS = {
    "identifier": "Which package and release",
    "summary": "What its authors say about it",
    "title": "Its text",
    "home_page": "Addresses (http and https only)",
    "serial": "Its state",
    "health_score": "Health",
    "github_stars": "GitHub",
    "download_last_day": "Downloads",
    "npm_scope": "npm",
}

#: Job of the schedule -> what it does.
JOBS = {
    "feeds": "reads PyPI's feeds",
    "sync": "reads PyPI's index and fetches what changed",
    "refresh": "asks again about what is indexed",
    "github": "asks GitHub about repositories",
    "downloads": "asks how often packages are downloaded",
    "health": "computes all scores as of the day",
    "full": "fetches everything again; serials make it needless",
}

#: What README shows of the settings.
COMMON_SETTINGS = (
    *("DEFAULT_PROFILE", "USER_AGENT_CONTACT", "PYF_DATA_DIR", "PYPI_URL", "PYPI_MAX_RPS", "GITHUB_TOKEN"),
    *("TYPESENSE_HOST", "TYPESENSE_API_KEY", "DATABASE_URL", "REDIS_URL", "SERVE_URL"),
)

ORIGINS = {"seeds": "README", "upstream": "schema", "added": "new"}

#: Figure -> meaning, what to do.
FIGURE_MEANINGS = {
    "listed": ("projects in PyPI's index", ""),
    "to_check": ("those whose serial is not the stored one; repositories or packages to ask about", ""),
    "queued": ("those that were asked about because somebody queued them (`scrapy queue add NAME`)", ""),
    "fetched": ("projects that PyPI answered for", ""),
    "no_match": ("fetched, but of none of the profiles", ""),
    "empty": ("listed without a release", ""),
    "skipped": ("entries of the index whose names no project can have", ""),
    "stale": ("answers older than promised", "nothing: they are asked for again, beside all others"),
    "way_round": (
        "projects read from their page and their latest release's JSON, because the project's JSON stayed "
        "stale",
        "",
    ),
    "unchanged": ("projects of a refresh that are as they were (304)", ""),
    "gone": ("projects that the index lists and PyPI does not have", "nothing: the next index decides"),
    "vanished": ("packages that PyPI has no more: their documents left the index, their facts stay", ""),
    "removed": ("those of them that a second index lacked as well", ""),
    "index_refused": (
        "answers for the index that are older or much smaller than the last",
        "the log says which; if packages are really gone: `-a accept_removals=1`",
    ),
    "feeds_read": ("times that the feeds were read", ""),
    "feeds_overrun": ("times that a feed showed only what is newer than the last poll", "run `pypi`"),
    "feeds_handed_over": ("packages that workers were told to ask about, with `push=1`", ""),
    "feeds_given_up": ("entries that PyPI's caches did not show in time", "nothing: `pypi` has them"),
    "copied": ("of `replicate`: projects whose facts came from the source", ""),
    "events_copied": ("of `replicate`: events that came from the source", ""),
    "passed_on": ("stored packages that the search index lacked; of `health` all", ""),
    "releases_fetched": ("releases fetched one by one", ""),
    "releases_partial": (
        "releases without metadata of their own on PyPI (404), indexed from the project's",
        "nothing: asked for again when the project changes",
    ),
    "repositories_fetched": ("repositories whose facts GitHub sent", ""),
    "repositories_unchanged": ("repositories that are as they were (304)", ""),
    "repositories_renamed": ("repositories that have another name now", "nothing: they are followed"),
    "contributors": ("repositories that GitHub told the contributors of", ""),
    "provenance_asked": ("releases that PyPI was asked about who published them", ""),
    **{
        f"problem_{reason}": (f"packages without figures of GitHub: {sentence}", "")
        for reason, sentence in PROBLEMS.items()
    },
    "downloads_answered": ("packages that the source of downloads answered for", ""),
    "downloads_unknown": ("those of them that it does not know", "nothing: asked again the next day"),
    "packages_indexed": ("packages that the search index now has as stored", ""),
    "documents_sent": ("documents stored in the search index", ""),
    "documents_unchanged": ("documents not sent, because the index has them", ""),
    "documents_deleted": ("documents of releases that are gone or do not belong any more", ""),
    "documents_rejected": ("documents that Typesense refused", "`scrapy status --failures` has its reasons"),
    "readmes_failed": ("READMEs that broke their bounds", "the package is indexed without that text"),
    "waiting": (
        "packages whose stored facts the search index lacks at the end",
        "nothing: the next run sends them",
    ),
    "failed": (
        "packages not fetched, or not all their releases",
        "`scrapy status --failures` has the reasons; the next run tries again",
    ),
    "errors": ("lines of level ERROR in the log", "read them"),
}

EXIT_CODES = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a source or service failed, the crawl was interrupted, or documents were rejected; "
    "nothing stored is lost",
    ExitCode.USAGE: "bad input: one line says what is wrong and what would be right; nothing was done",
    ExitCode.SOME_FAILED: "done, but some packages or READMEs failed",
    ExitCode.ALREADY_RUNNING: "the same spider already runs on this store, or a schedule in this data folder",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def spiders() -> dict[str, type[StoreSpider]]:
    loader = get_spider_loader(Settings({"SPIDER_MODULES": ["pyf_scrapy.spiders"]}))
    found = {}
    for name in sorted(loader.list()):
        spider = loader.load(name)
        assert issubclass(spider, StoreSpider)
        found[name] = spider
    return found


def commands() -> dict[str, ScrapyCommand]:
    """The project's own commands."""
    found: dict[str, ScrapyCommand] = {}
    for module in pkgutil.iter_modules(pyf_scrapy.commands.__path__):
        command = getattr(importlib.import_module(f"pyf_scrapy.commands.{module.name}"), "Command", None)
        if command is not None:
            found[module.name] = command()
    return found


class _Plain(ScrapyCommand):
    """Has the options that all commands have."""

    def short_desc(self) -> str:
        return ""

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        raise NotImplementedError


def parser(command: ScrapyCommand) -> argparse.ArgumentParser:
    """The parser of a command, as scrapy.cmdline makes it."""
    command.settings = Settings()
    made = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    command.add_options(made)
    return made


def parsers(name: str, command: ScrapyCommand) -> dict[str, argparse.ArgumentParser]:
    """The parser of a command, or those of its actions, by how they are typed; argparse has no public way."""
    made = parser(command)
    for option in made._actions:
        if isinstance(option, argparse._SubParsersAction):
            return {f"{name} {action}": own for action, own in option.choices.items()}
    return {name: made}


def options(made: argparse.ArgumentParser) -> dict[str, str]:
    """Each option as it is typed -> its help; without those that every command of Scrapy has."""
    inherited = {option for action in parser(_Plain())._actions for option in action.option_strings} | {"-h"}
    found = {}
    for action in made._actions:
        if action.help is argparse.SUPPRESS or inherited & set(action.option_strings):
            continue
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        found[f"{', '.join(action.option_strings)}{value}"] = (action.help or "") % vars(action)
    return found


def uses(name: str) -> bool:
    """Whether a setting or field is used besides where it is declared."""
    declared = {PACKAGE / "settings_table.py", PACKAGE / "search" / "schema.py"}
    return any(
        re.search(rf"\b{name}\b", path.read_text()) for path in PACKAGE.rglob("*.py") if path not in declared
    )


def is_filled(field: Field) -> bool:
    """Whether documents get this field."""
    text = (PACKAGE / "search" / "documents.py").read_text()
    return re.search(rf'"{field.name}"|\b{field.name}=', text) is not None


def _profiles() -> str:
    return table(
        ("profile", "ecosystem", "classifiers", "hints"),
        (
            (
                f"`{profile.key}`",
                profile.name,
                ", ".join(f"`{classifier}`" for classifier in profile.classifiers),
                ", ".join(profile.hints),
            )
            for profile in load_profiles(ROOT / "profiles.yaml").values()
        ),
    )


def _profile_keys() -> str:
    return table(("key", "meaning"), ((f"`{key}`", text) for key, text in PROFILE_KEYS.items()))


def _spiders() -> str:
    return table(("spider", "names come from"), ((f"`{name}`", SPIDERS[name]) for name in spiders()))


def _arguments() -> str:
    known = {name: spider.known_arguments for name, spider in spiders().items()}
    return table(
        ("argument", "spiders", "value", "meaning"),
        (
            (f"`{name}`", "all" if len(having) == len(known) else ", ".join(having), *ARGUMENTS[name])
            for name in ARGUMENTS
            if (having := [spider for spider, names in known.items() if name in names])
        ),
    )


def _commands() -> str:
    rows = []
    for name, command in commands().items():
        actions = command.actions if isinstance(command, ActionCommand) else ()
        rows += [(f"`{name} {action.name}`", action.help) for action in actions]
        if not actions:
            rows.append((f"`{name}`", command.short_desc()))
    return table(("command", "what it does"), rows)


def _options() -> str:
    having: dict[tuple[str, str], list[str]] = {}
    for command, made in commands().items():
        for name, own in parsers(command, made).items():
            for option, text in options(own).items():
                having.setdefault((option, text), []).append(name)
    return table(
        ("option", "commands", "meaning"),
        ((f"`{option}`", ", ".join(names), text) for (option, text), names in having.items()),
    )


def _settings() -> str:
    return _settings_table(SETTINGS)


def _common_settings() -> str:
    by_name = {setting.name: setting for setting in SETTINGS}
    return _settings_table(by_name[name] for name in COMMON_SETTINGS)


def _settings_table(settings: Iterable[Setting]) -> str:
    return table(
        ("setting", "default", "meaning"),
        (
            (
                f"`{setting.name}`",
                f"`{setting.default_text}`" if setting.default_text else "",
                setting.help + ("" if uses(setting.name) else " (not used yet)"),
            )
            for setting in settings
        ),
    )


def _jobs() -> str:
    defaults = {setting.name: setting.default_text for setting in SETTINGS}
    jobs = {job.name: job for job in planned({s.name: s.default for s in SETTINGS}, {}, now=0)}

    def limit(job: Job) -> str:
        once = timedelta(seconds=job.limit_once)
        return str(timedelta(seconds=job.limit)) + (f"; by an expression {once}" if job.follows else "")

    return table(
        ("job", "what it does", "crawl", "setting", "default", "limit"),
        (
            (
                f"`{kind.name}`",
                JOBS[kind.name],
                " ".join(f"`{word}`" for word in (kind.spider, *map("=".join, kind.arguments.items()))),
                f"`{kind.setting}`",
                f"`{defaults[kind.setting]}`" if defaults[kind.setting] else "off",
                limit(jobs[kind.name]),
            )
            for kind in KINDS
        ),
    )


def _fields() -> str:
    def rows() -> Iterable[tuple[str, str, str, str, str]]:
        for field in SCHEMA:
            if field.name in FIELD_GROUPS:
                yield f"**{FIELD_GROUPS[field.name]}**", "", "", "", ""
            flags = [flag for flag in ("facet", "sort") if getattr(field, flag)]
            use = ", ".join(flags) if field.index else "shown only"
            text = field.help + ("" if is_filled(field) else " (not filled yet)")
            yield f"`{field.name}`", field.type, use, ORIGINS[field.origin], text

    return table(("field", "type", "use", "from", "meaning"), rows())


def _searched() -> str:
    return table(
        ("field", "weight", "typos", "beginnings", "parts of words"),
        (
            (
                f"`{field.name}`",
                str(field.weight),
                str(field.typos) if field.typos else "",
                "yes" if field.prefix else "",
                "yes" if field.infix else "",
            )
            for field in QUERY_FIELDS
        ),
    )


def _figures() -> str:
    return table(
        ("figure", "meaning", "what to do"),
        ((f"`{name}`", *FIGURE_MEANINGS[name]) for name in FIGURES),
    )


def _exit_codes() -> str:
    return table(("code", "meaning"), ((str(int(code)), EXIT_CODES[code]) for code in ExitCode))


def _rules() -> str:
    return table(
        ("rule", "axis", "maximum", "what counts", "source"),
        (
            (rule.title, rule.axis, str(rule.maximum) if rule.maximum else "", rule.earns, rule.source)
            for rule in RULES
        ),
    )


def _speed() -> str:
    return _speed_table(lambda claim: True)


def _speed_in_short() -> str:
    """What the benchmarks must hold, and how we compare with others, well or badly."""
    return _speed_table(
        lambda claim: bool(report.demand(claim)) or ("ours" in claim.text and "raw client" not in claim.text)
    )


def _speed_table(shown: Callable[[Claim], bool]) -> str:
    results = report.read(report.RESULTS)
    rows = [(result, claim) for result in results for claim in result.claims if shown(claim)]
    text = table(
        ("case", "what", "median", "asked for"),
        (
            (
                f"`{result.name}`{' *' if report.is_busy(result) else ''}",
                claim.text,
                report.number(claim.value),
                report.demand(claim),
            )
            for result, claim in rows
        ),
    )
    if not any(report.is_busy(result) for result, _ in rows):
        return text
    return f"{text}\n\n\\* The machine had other work meanwhile: seconds and searches say little."


TABLES: Mapping[str, Callable[[], str]] = {
    "profiles": _profiles,
    "profile keys": _profile_keys,
    "spiders": _spiders,
    "arguments": _arguments,
    "commands": _commands,
    "options": _options,
    "jobs": _jobs,
    "settings": _settings,
    "common settings": _common_settings,
    "fields": _fields,
    "searched fields": _searched,
    "rules": _rules,
    "figures": _figures,
    "exit codes": _exit_codes,
    "speed": _speed,
    "speed in short": _speed_in_short,
}

_MARKED = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def marked(text: str) -> list[str]:
    """The names of the tables that a text has places for."""
    return [found[2] for found in _MARKED.finditer(text)]


def written(text: str) -> str:
    """`text` with its tables as they should be."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text()))
