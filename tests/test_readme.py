"""README and docs/ are what a user goes by: every table, command, name and link is held against the code."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from scrapy.settings import Settings, default_settings

from pyf_scrapy import settings
from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.environment import variables
from pyf_scrapy.extensions.outcome import FIGURES
from pyf_scrapy.profiles_file import KEYS, parse_profiles
from pyf_scrapy.search.schema import SCHEMA
from tests import readme_tables
from tests.readme_tables import ARGUMENTS, EXIT_CODES, FIELD_GROUPS, FIGURE_MEANINGS, PROFILE_KEYS, SPIDERS

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in readme_tables.PAGES}
TEXT = PAGES["README.md"]
#: That of what is called otherwise in pyf.aggregator is held by test_coming_from.
OURS = "\n".join(text for page, text in PAGES.items() if page != "docs/coming-from-pyf-aggregator.md")

#: Commands of Scrapy itself that the pages speak of.
OF_SCRAPY = {"list", "check", "settings"}
#: Variables that are not ours.
OF_OTHERS = {"PYF_ENV_FILE", "SSL_CERT_FILE", "XDG_CACHE_HOME"}


def code(text: str) -> list[str]:
    """All that is set as code: indented lines and what stands in backticks."""
    lines = re.findall(r"^ {4}(.*)$", text, re.MULTILINE)
    return [line for line in (*lines, *re.findall(r"`([^`\n]+)`", text)) if line.strip()]


def quoted(program: str, *texts: str) -> list[str]:
    """The command lines of `program` in these texts, else all pages, without the comments behind them."""
    lines = [line.strip() for text in texts or PAGES.values() for line in code(text)]
    starts = [line for line in lines if line.startswith(f"{program} ")]
    return sorted({re.sub(r"\s+#.*", "", line).removeprefix(f"{program} ") for line in starts})


def section(title: str, page: str = "README.md") -> str:
    """The text below a heading, up to the next of its level or above."""
    text = PAGES[page]
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[2]


class TestTables:
    def test_each_is_there_once(self) -> None:
        marked = [name for text in PAGES.values() for name in readme_tables.marked(text)]
        assert sorted(marked) == sorted(readme_tables.TABLES)

    @pytest.mark.parametrize("page", PAGES)
    def test_each_says_what_the_code_says(self, page: str) -> None:
        text = PAGES[page]
        assert readme_tables.written(text) == text, "write them again: python -m tests.readme_tables"

    def test_all_arguments_and_spiders_are_described_and_no_others(self) -> None:
        spiders = readme_tables.spiders()
        assert set(SPIDERS) == set(spiders)
        assert set(ARGUMENTS) == set().union(*(spider.known_arguments for spider in spiders.values()))

    def test_all_keys_of_a_profile(self) -> None:
        assert set(PROFILE_KEYS) == set(KEYS)

    def test_all_figures_of_the_summary(self) -> None:
        assert set(FIGURE_MEANINGS) == set(FIGURES)

    def test_all_exit_codes(self) -> None:
        assert set(EXIT_CODES) == set(ExitCode)

    def test_groups_of_fields_begin_with_fields(self) -> None:
        assert set(FIELD_GROUPS) <= {field.name for field in SCHEMA}

    def test_what_is_said_to_differ_are_fields(self) -> None:
        rows = section("What differs from pyf.aggregator, and why", "docs/documents.md")
        names = {name for row in re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE) for name in _words(row)}
        assert {"id", "version_sortable", "health_score"} <= names <= {"id", *(f.name for f in SCHEMA)}


def _words(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


class TestCommands:
    @pytest.mark.parametrize("line", quoted("scrapy"))
    def test_it_is_a_command_of_scrapy(self, line: str) -> None:
        """With options that the command has, a spider that exists, arguments that the spider takes."""
        words = shlex.split(line)
        if words[0] in OF_SCRAPY:
            return
        commands = readme_tables.commands()
        assert words[0] in commands
        command = commands[words[0]]
        parser = readme_tables.parser(command)
        with contextlib.redirect_stderr(io.StringIO()) as complaints:
            try:
                opts, args = parser.parse_known_args(words[1:])
            except SystemExit:
                pytest.fail(complaints.getvalue())
        assert not [arg for arg in args if arg.startswith("-")]
        if words[0] == "crawl":
            self.check_spider(args, dict(pair.split("=", 1) for pair in opts.spargs), opts.package_profile)

    def check_spider(self, args: list[str], given: dict[str, str], profile: str | None) -> None:
        if profile is not None:
            given["profile"] = profile
        (name,) = args
        spider = readme_tables.spiders()[name]
        if "requirements" in given:
            given["requirements"] = str(ROOT / given["requirements"])
        values = Settings({"PROFILES_FILE": ROOT / "profiles.yaml", "REDIS_URL": "redis://localhost/0"})
        assert spider.check_arguments(given, values)

    def test_the_two_commands_and_those_of_the_issue_are_there(self) -> None:
        assert {"demo", "test", "setup", "lint"} <= set(quoted("make", TEXT))
        assert {"crawl", "search", "show", "status"} <= {line.split()[0] for line in quoted("scrapy", TEXT)}

    def test_targets_of_make_exist(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {line.split()[0] for line in quoted("make")} <= targets

    def test_every_command_is_shown_at_work_or_in_the_table(self) -> None:
        for name, command in readme_tables.commands().items():
            assert all(f"`{typed}`" in TEXT for typed in readme_tables.parsers(name, command))


class TestNames:
    def test_settings_that_are_spoken_of_exist(self) -> None:
        spoken = {name for words in _words(OURS) for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", words)}
        of_scrapy = {
            name for module in (default_settings, settings) for name in vars(module) if name.isupper()
        }
        assert spoken <= variables() | OF_OTHERS | of_scrapy

    def test_paths_that_are_spoken_of_exist(self) -> None:
        spoken = [word for word in _words(OURS) if re.fullmatch(r"[\w./-]+(/|\.(py|yml|yaml|txt))", word)]
        assert len(spoken) > 10
        assert not [path for path in spoken if not (_exists(path) or path.startswith(".pyf/"))]

    def test_what_lies_in_the_data_folder_is_written_by_the_code(self) -> None:
        sources = "".join(path.read_text() for path in (ROOT / "pyf_scrapy").rglob("*.py"))
        rows = re.findall(r"^\| `([a-z.]+)` \|", section("What is stored where"), re.MULTILINE)
        assert {"store.sqlite", "typesense"} <= set(rows)
        assert not [name for name in rows if f'"{name}"' not in sources]

    def test_the_example_of_a_profile_loads(self) -> None:
        block = re.search(r"^    profiles:\n(?:    .*\n)+", TEXT, re.MULTILINE)
        assert block
        text = re.sub(r"^ {4}", "", block[0], flags=re.MULTILINE)
        (fields,) = parse_profiles(text.encode(), "README.md").values()
        assert {*KEYS, "warnings"} == set(fields)
        assert not fields["warnings"]

    @pytest.mark.parametrize("page", PAGES)
    def test_links_lead_somewhere(self, page: str) -> None:
        links = re.findall(r"\]\(((?!https?://)[^)]+)\)", PAGES[page])
        assert not [link for link in links if not _leads_somewhere(page, link)]

    def test_each_page_is_linked_from_readme(self) -> None:
        assert not [page for page in PAGES if page != "README.md" and f"]({page})" not in TEXT]


def _exists(path: str) -> bool:
    package = ROOT / "pyf_scrapy"
    return any((folder / path).exists() for folder in (ROOT, package, package / "spiders"))


def _leads_somewhere(page: str, link: str) -> bool:
    """Whether the file is there, and the heading in it."""
    name, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(PAGES[target.relative_to(ROOT).as_posix()])


def _anchors(text: str) -> set[str]:
    """The headings, as GitHub names them in addresses."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_figure_is_left_to_fill_in() -> None:
    assert not [page for page, text in PAGES.items() if re.search(r"\{\{[A-Z]+\}\}", text)]
