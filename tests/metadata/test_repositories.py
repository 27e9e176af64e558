"""Which repository is a package's own.

If these fail, a package loses its stars and issues, or shows those of someone else.
"""

from __future__ import annotations

import gc
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.metadata.labels import Kind, rank
from pyf_scrapy.metadata.releases import Release
from pyf_scrapy.metadata.repositories import (
    MOST_CANDIDATES,
    PROBLEMS,
    Link,
    Proof,
    Repository,
    candidates,
    declared_packages,
    links,
    problem,
    proof,
    repository_of,
)
from pyf_scrapy.metadata.repository_urls import is_on_github
from pyf_scrapy.metadata.versions import sortable
from pyf_scrapy.parsers.project_json import parse_project
from pyf_scrapy.parsers.records import Metadata, RepositoryRecord

TABLE = Path(__file__).parent / "data" / "repository_urls.tsv"
OWN = Repository("github.com", "example-owner", "example")


def rows() -> Iterator[tuple[str, str]]:
    for line in TABLE.read_text("ascii").split("\n"):
        if line and not line.startswith("#"):
            address, expected, _ = line.split("\t")
            yield address.encode().decode("unicode_escape"), expected


ROWS = list(rows())
ADDRESSES = st.one_of(
    st.text(max_size=300),
    st.sampled_from([address for address, _ in ROWS]),
    st.lists(
        st.sampled_from(
            [
                *("https://", "git@", "git+ssh://", "//", "www.", "github.com", "gitlab.com", "codeberg.org"),
                *(
                    "/",
                    "//",
                    ":",
                    ".git",
                    ".",
                    "..",
                    "-",
                    "@",
                    "#",
                    "?",
                    "443",
                    "owner",
                    "Name",
                    "a",
                    "/tree/",
                ),
                *("/issues", "/-/", " ", ",", "sponsors", "bitbucket.org", "\\", "\u212a", "\ud800", "\0"),
            ]
        ),
        max_size=16,
    ).map("".join),
)


def info(version: str = "1.0", urls: dict[str, str] | None = None, **fields: str) -> Metadata:
    return Metadata("Demo.Kit", version, project_urls=urls, **fields)  # type: ignore[arg-type]


def release(metadata: Metadata) -> Release:
    return Release(
        version=metadata.version,
        metadata=metadata,
        files=(),
        partial=False,
        yanked=False,
        yanked_reason=None,
        upload_time=None,
        sortable=sortable(metadata.version),
    )


def hub(name: str, page: str = "") -> str:
    return f"https://github.com/example-owner/{name}{page}"


def names(found: tuple[Link, ...]) -> list[str]:
    return [link.repository.name for link in found]


class TestRepositoryOf:
    @pytest.mark.parametrize(("address", "expected"), ROWS)
    def test_whatever_form_a_person_wrote_it_in(self, address: str, expected: str) -> None:
        found = repository_of(address)
        assert (f"{found.host}/{found.owner}/{found.name}" if found else "-") == expected

    def test_the_table_has_not_shrunk(self) -> None:
        assert len(ROWS) >= 200
        assert len({address for address, _ in ROWS}) == len(ROWS)

    def test_two_spellings_are_one_repository(self) -> None:
        """Else one repository is asked about twice, and its packages do not find each other."""
        found = repository_of("git@GitHub.com:Example-Owner/Example.git")
        assert found == Repository("github.com", "Example-Owner", "Example")
        assert found.key == OWN.key == "github.com/example-owner/example"
        assert found.url == "https://github.com/Example-Owner/Example"

    def test_a_password_is_not_passed_on(self) -> None:
        found = repository_of("https://someone:secret@github.com/example-owner/example")
        assert found is not None
        assert "secret" not in repr(found) + found.url + found.key

    def test_only_github_can_be_asked(self) -> None:
        assert OWN.is_github
        assert not Repository("gitlab.com", "example-group/sub", "example").is_github

    @given(ADDRESSES)
    @example("https://gitlab.com/a/b/tree.git")
    @example("github.com/a/b.git.git.")
    @example("https://gitlab.com/a/-.git/b")
    def test_its_own_page_leads_back_to_it(self, address: str) -> None:
        """For any text, and without an error: one strange address must not end a crawl."""
        found = repository_of(address)
        is_on_github(address)
        if found is not None:
            again = repository_of(found.url)
            assert again is not None
            assert (again.key, again.url) == (found.key, found.url)
            assert found.name not in {"", ".", ".."}

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "a:" * 1024,
                "github.com/" * 180,
                "@" * 2048,
                "/" * 2048,
                ":" * 2048,
                ".git" * 512,
                "a " * 1024,
            ),
            *("x" * 10_000_000, "https://github.com/a/" + ".git" * 500 + "x", "a-" * 1000 + "://"),
        ],
        ids=lambda text: text[:12],
    )
    def test_time_is_bounded(self, text: str) -> None:
        gc.collect()  # of all tests before, else in the middle of this one
        begin = time.thread_time()
        repository_of(text)
        assert time.thread_time() - begin < 0.2


class TestLinks:
    @pytest.mark.parametrize(
        "label",
        [
            *("Source", "source", "Repository", "Source Code", "source_code", "SourceCode", "Code", "GitHub"),
            *("Github", "git", "GitHub: repo", "scm", "Repo", "Source code (GitHub)", "GitHub repository"),
            *(
                "Source on GitHub",
                "Project repository",
                "\N{PACKAGE} Source",
                "Code repository",
                "VCS",
                "Sources",
            ),
        ],
    )
    def test_label_that_means_source_wins(self, label: str) -> None:
        """A package shows the figures of its code, not of the site or the tracker that it shares."""
        urls = {
            **{
                "Bug Tracker": hub("tracker", "/issues"),
                "Homepage": hub("site"),
                "CI": hub("ci", "/actions"),
            },
            **{"Documentation": hub("docs"), "Example Repository": hub("demo"), label: hub("kit")},
        }
        [first, *_] = links(info(urls=urls))
        assert first == Link(Repository("github.com", "example-owner", "kit"), hub("kit"), label, "1.0")

    def test_order_of_all_kinds(self) -> None:
        urls = {
            **{"Chat": hub("other"), "Bug Tracker": hub("tracker"), "Documentation": hub("docs")},
            **{"Release notes": hub("changes"), "Download": hub("archive"), "Home": hub("site")},
            **{"Browse code": hub("browse"), "Code": hub("code"), "GitHub": hub("github")},
            **{"Source Code": hub("sourcecode"), "Repository": hub("repository"), "Source": hub("source")},
        }
        best_first = [
            *("source", "repository", "sourcecode", "github", "code", "browse", "site", "archive", "changes"),
            *("docs", "tracker", "other"),
        ]
        assert names(links(info(urls=urls))) == best_first
        assert names(links(info(urls=dict(reversed(urls.items()))))) == best_first

    def test_fields_count_as_the_labels_they_mean(self) -> None:
        metadata = info(
            urls={"CI": hub("ci")},
            bugtrack_url=hub("tracker"),
            docs_url=hub("docs"),
            download_url=hub("archive"),
            home_page=hub("site"),
        )
        found = links(metadata)
        assert names(found) == ["site", "archive", "docs", "tracker", "ci"]
        assert [link.label for link in found] == [
            "home_page",
            "download_url",
            "docs_url",
            "bugtrack_url",
            "CI",
        ]
        assert names(links(info(urls={"Source": hub("kit")}, home_page=hub("site")))) == ["kit", "site"]

    def test_each_repository_once_by_its_best_label(self) -> None:
        urls = {"Issues": hub("kit", "/issues"), "Homepage": hub("Kit"), "Source": hub("KIT.git")}
        [link] = links(info(urls=urls, home_page=hub("kit")))
        assert (link.label, link.url) == ("Source", hub("KIT.git"))

    @pytest.mark.parametrize(
        "label", ["Funding", "Sponsor", "GitHub Sponsors", "Donate", "Donations", "Sponsor on GitHub", "Fund"]
    )
    def test_link_that_asks_for_money_is_never_the_source(self, label: str) -> None:
        """Else all packages of a maintainer show the figures of one repository."""
        assert rank(label)[0] is Kind.FUNDING
        assert links(info(urls={label: hub("funds")})) == ()

    def test_sponsors_page_called_source_is_passed_over(self) -> None:
        """W13: upstream stops at it and the package has no figures."""
        urls = {"Source": "https://github.com/sponsors/example-owner", "Issues": hub("kit", "/issues")}
        assert names(links(info(urls=urls))) == ["kit"]

    def test_other_forges_are_links_too(self) -> None:
        [link] = links(info(urls={"Source": "https://gitlab.com/example-group/sub/kit/-/tree/main"}))
        assert link.repository == Repository("gitlab.com", "example-group/sub", "kit")

    @pytest.mark.parametrize("label", ["Home", "Home page", "Website", "Project", "URL"])
    def test_site_of_the_project_comes_before_its_documentation(self, label: str) -> None:
        assert names(links(info(urls={"Docs": hub("docs"), label: hub("site")}))) == ["site", "docs"]

    def test_no_links(self) -> None:
        assert links(info()) == ()
        assert (
            links(info(urls={"Source": "", "Home": "UNKNOWN", "": "x"}, home_page="https://example.org/"))
            == ()
        )

    @given(
        st.dictionaries(
            st.sampled_from(["Source", "Home", "Bugs", "CI", "Docs", "x"]), ADDRESSES, max_size=5
        ),
        st.sampled_from(["Funding", "Sponsor", "A", "Source code", "Homepage", "GitHub"]),
        st.booleans(),
    )
    def test_sponsors_link_changes_nothing(self, urls: dict[str, str], label: str, first: bool) -> None:
        sponsors = {label: "https://github.com/sponsors/example-owner"}
        more = {**sponsors, **urls} if first else {**urls, **sponsors}
        assert links(info(urls=more)) == links(info(urls=urls))
        assert candidates([release(info(urls=more))]) == candidates([release(info(urls=urls))])


class TestCandidates:
    def test_older_releases_follow_newest_first(self) -> None:
        """The repository was deleted or renamed away: an older release may know the one that still is."""
        releases = [
            release(info("1.9", {"Source": hub("middle"), "Home": hub("site")})),
            release(info("1.10", {"Home": hub("site"), "Source": hub("new")})),
            release(info("2.0a1", {"Source": hub("alpha")})),  # sorts below stable releases
            release(info("1.0", {"Source": hub("NEW"), "Home": hub("old")})),
        ]
        found = candidates(releases)
        assert names(found) == ["new", "site", "middle", "old", "alpha"]
        assert [link.version for link in found] == ["1.10", "1.10", "1.9", "1.0", "2.0a1"]

    def test_version_is_the_one_pypi_lists(self) -> None:
        metadata = info("1.0.0", {"Source": hub("kit")})
        listed = Release("1.0", metadata, (), False, False, None, None, sortable("1.0"))
        assert [link.version for link in candidates([listed])] == ["1.0"]

    def test_number_is_bounded(self) -> None:
        """A hostile package must not make a crawl ask about thousands of repositories."""
        many = {f"Link {n}": hub(f"kit{n}") for n in range(500)}
        found = candidates([release(info("2.0", many)), release(info("1.0", {"Source": hub("last")}))])
        assert len(found) == MOST_CANDIDATES
        assert names(found)[0] == "kit0"

    def test_many_releases_take_little_time(self) -> None:
        releases = [
            release(info(f"1.{n}", {"Source": hub("kit"), "Bugs": hub("kit", "/issues")}))
            for n in range(3000)
        ]
        begin = time.process_time()
        assert names(candidates(releases)) == ["kit"]
        assert time.process_time() - begin < 2

    def test_what_a_project_left_on_github_is_not_asked_about(self) -> None:
        """It moved: an abandoned mirror would make the package look dead."""
        moved = info(
            "2.0",
            {"Source": "https://codeberg.org/example-owner/kit", "Docs": hub("docs"), "Chat": hub("chat")},
        )
        assert candidates([release(moved), release(info("1.0", {"Source": hub("kit")}))]) == ()

    def test_mirror_that_is_called_source_counts(self) -> None:
        mirrored = info(
            urls={
                "Source": "https://codeberg.org/example-owner/kit",
                "GitHub": hub("kit"),
                "Docs": hub("docs"),
            }
        )
        assert names(candidates([release(mirrored)])) == ["kit"]

    def test_release_without_links_hides_nothing(self) -> None:
        releases = [release(info("2.0")), release(info("1.0", {"Source": hub("kit")}))]
        assert names(candidates(releases)) == ["kit"]

    def test_no_releases(self) -> None:
        assert candidates([]) == ()


class TestProblem:
    @pytest.mark.parametrize(
        ("urls", "reason"),
        [
            ({"Source": hub("kit")}, None),
            ({"Source": "https://github.com/sponsors/example-owner", "Bugs": hub("kit", "/issues")}, None),
            ({}, "no_repo_url"),
            ({"Source": "https://gist.github.com/example-owner/0123abcd"}, "no_repo_url"),
            ({"Homepage": "https://example-owner.github.io/kit"}, "no_repo_url"),
            ({"Funding": "https://github.com/sponsors/example-owner"}, "no_repo_url"),
            ({"Funding": hub("kit")}, "no_repo_url"),
            ({"Source": "https://github.com/sponsors/example-owner"}, "malformed_identifier"),
            ({"Homepage": "https://github.com/example-owner"}, "malformed_identifier"),
            ({"Homepage": "www.GitHub.com/YOUR_NAME/kit"}, "malformed_identifier"),
            ({"Source": "https://gitlab.com/example-group/kit"}, "other_forge"),
            ({"Source": "https://codeberg.org/example-owner/kit"}, "other_forge"),
            ({"Home": "https://bitbucket.org/example-owner/kit"}, "other_forge"),
            ({"A": "https://github.com/example-owner", "B": "https://gitlab.com/group/kit"}, "other_forge"),
        ],
    )
    def test_reason(self, urls: dict[str, str], reason: str | None) -> None:
        """The maintainer reads what to mend; a wrong reason sends them to the wrong place."""
        assert problem([release(info(urls=urls))]) == reason
        assert reason is None or PROBLEMS[reason]

    def test_newest_release_that_says_anything_decides(self) -> None:
        elsewhere = {"Source": "https://gitlab.com/example-group/kit"}
        releases = [
            release(info("1.0", elsewhere)),
            release(info("2.0", {"Source": "https://github.com/example-owner"})),
            release(info("3.0")),
        ]
        assert problem(releases) == "malformed_identifier"
        assert problem([releases[0], releases[2]]) == "other_forge"
        assert problem([]) == "no_repo_url"

    def test_sentences_are_those_that_users_of_upstream_know(self) -> None:
        assert PROBLEMS["no_repo_url"] == "No GitHub URL in package metadata"
        assert PROBLEMS["malformed_identifier"] == "Malformed repository identifier"
        assert PROBLEMS["not_found"] == "Repository not found (404)"
        assert {"other_forge", "blocked", "unavailable"} < set(PROBLEMS)

    @given(
        st.lists(st.dictionaries(st.sampled_from(["Source", "Bugs", "x"]), ADDRESSES, max_size=3), max_size=3)
    )
    def test_there_is_a_reason_exactly_when_nothing_can_be_asked(self, known: list[dict[str, str]]) -> None:
        releases = [release(info(f"{n}.0", urls)) for n, urls in enumerate(known)]
        reason = problem(releases)
        assert (reason is None) == bool(candidates(releases))
        assert reason is None or reason in PROBLEMS


def record(owner: str = "example-owner", name: str = "example", **facts: object) -> RepositoryRecord:
    return RepositoryRecord("R_1", owner, name, **facts)  # type: ignore[arg-type]


class TestProof:
    @pytest.mark.parametrize(
        ("found", "publisher", "expected"),
        [
            (None, None, Proof.CLAIMED),
            (record(), None, Proof.CLAIMED),
            (record(packages=()), None, Proof.CLAIMED),
            (record(packages=("other",)), None, Proof.CLAIMED),
            (record(packages=("other", "demo-kit")), None, Proof.NAMED),
            (record(packages=("Demo.Kit",)), None, Proof.NAMED),
            (record(fork=False, packages=("demo-kit",)), None, Proof.NAMED),
            (None, "example-owner/example", Proof.ATTESTED),
            (None, "Example-Owner/EXAMPLE", Proof.ATTESTED),
            (record(packages=("demo-kit",)), "example-owner/example", Proof.ATTESTED),
            # Renamed: the attestation is from before or from after it.
            (record("new-owner", "New"), "New-Owner/new", Proof.ATTESTED),
            (record("new-owner", "New"), "example-owner/example", Proof.ATTESTED),
            # Published from elsewhere proves nothing, and takes nothing away.
            (record(), "someone-else/example", Proof.CLAIMED),
            (record(), "example", Proof.CLAIMED),
            (record(packages=("demo-kit",)), "someone-else/example", Proof.NAMED),
            # The files of a fork are copies.
            (record(fork=True, packages=("demo-kit",)), None, Proof.CLAIMED),
            (record(parent="origin/example", packages=("demo-kit",)), None, Proof.CLAIMED),
            (record(fork=True, homepage="https://pypi.org/project/demo-kit/"), None, Proof.CLAIMED),
            (record(fork=True), "example-owner/example", Proof.ATTESTED),
        ],
    )
    def test_proof(self, found: RepositoryRecord | None, publisher: str | None, expected: Proof) -> None:
        """Without proof a package could take the stars of any repository; with too much none gets its own."""
        assert proof("demo-kit", OWN, found, publisher) is expected

    @pytest.mark.parametrize(
        ("homepage", "expected"),
        [
            ("https://pypi.org/project/demo-kit/", Proof.NAMED),
            (" https://pypi.org/project/Demo.Kit ", Proof.NAMED),
            ("http://www.pypi.org/p/demo_kit", Proof.NAMED),
            ("https://pypi.org/project/demo-kit/1.0/", Proof.NAMED),
            ("https://pypi.org/pypi/demo-kit", Proof.NAMED),
            ("https://pypi.org/project/other/", Proof.CLAIMED),
            ("https://pypi.org/project/demo-kit-extra/", Proof.CLAIMED),
            ("https://pypi.org/user/demo-kit/", Proof.CLAIMED),
            ("https://pypi.org/search/?q=demo-kit", Proof.CLAIMED),
            ("https://pypi.org.example.org/project/demo-kit/", Proof.CLAIMED),
            ("https://example.org/project/demo-kit/", Proof.CLAIMED),
            ("http://[", Proof.CLAIMED),
            ("", Proof.CLAIMED),
            (None, Proof.CLAIMED),
        ],
    )
    def test_homepage_that_is_the_packages_page(self, homepage: str | None, expected: Proof) -> None:
        assert proof("demo-kit", OWN, record(homepage=homepage), None) is expected

    def test_publisher_of_github_says_nothing_about_another_forge(self) -> None:
        elsewhere = Repository("gitlab.com", "example-owner", "example")
        assert proof("demo-kit", elsewhere, None, "example-owner/example") is Proof.CLAIMED

    def test_values_are_stored(self) -> None:
        assert [*Proof] == ["attested", "named", "claimed"]


class TestDeclaredPackages:
    @pytest.mark.parametrize(
        ("path", "text", "expected"),
        [
            ("pyproject.toml", '[project]\nname = "Demo.Kit"\n', ("demo-kit",)),
            ("packages/kit/pyproject.toml", '[project]\nname = "demo_kit"\n', ("demo-kit",)),
            ("pyproject.toml", '[tool.poetry]\nname = "demo-kit"\n', ("demo-kit",)),
            ("pyproject.toml", '[tool.flit.metadata]\nmodule = "demo_kit"\n', ("demo-kit",)),
            (
                "pyproject.toml",
                '[tool.flit.metadata]\nmodule = "kit"\ndist-name = "demo-kit"\n',
                ("demo-kit",),
            ),
            ("pyproject.toml", '[project]\nname = "a"\n[tool.poetry]\nname = "b"\n', ("a", "b")),
            ("pyproject.toml", "[build-system]\nrequires = []\n", ()),
            ("pyproject.toml", "[project]\nname = 3\n", ()),
            ("pyproject.toml", 'project = "demo-kit"\ntool = []\n', ()),
            ("pyproject.toml", '[project]\nname = "demo kit"\n', ()),
            ("pyproject.toml", '[project]\nname = "demo-kit"\nbroken', ()),
            ("setup.cfg", "[metadata]\nname = Demo.Kit\nversion = 1\n", ("demo-kit",)),
            ("setup.cfg", "[metadata]\nname: demo-kit\nname = other\n", ("other",)),
            ("setup.cfg", "[metadata]\ndescription = 100 %\nname =\n  demo-kit\n", ("demo-kit",)),
            ("setup.cfg", "[metadata]\nlong = " + "x" * 1000 + "\nname = demo-kit\n", ("demo-kit",)),
            ("setup.cfg", "[options]\nname = demo-kit\n", ()),
            ("setup.cfg", "name = demo-kit\n", ()),
            ("setup.py", 'from setuptools import setup\nsetup(name="Demo.Kit")\n', ("demo-kit",)),
            ("setup.py", "import setuptools\nsetuptools.setup(version='1', name='demo-kit')", ("demo-kit",)),
            ("setup.py", "if True:\n    setup(name='demo-kit')\nPATTERN = '\\d'", ("demo-kit",)),
            ("setup.py", "setup(name=NAME)", ()),
            ("setup.py", "setup(name=b'demo-kit')", ()),
            ("setup.py", "setup(**{'name': 'demo-kit'})", ()),
            ("setup.py", "Extension(name='demo-kit')", ()),
            ("setup.py", "print 'Python 2'\nsetup(name='demo-kit')", ()),
            ("setup.py", "", ()),
            ("README.md", '[project]\nname = "demo-kit"\n', ()),
        ],
    )
    def test_what_is_written(self, path: str, text: str, expected: tuple[str, ...]) -> None:
        """What is not read leaves the package unproven: it gets no points for its own repository."""
        assert declared_packages({path: text}) == expected

    def test_broken_file_does_not_hide_the_others(self) -> None:
        files = {
            "pyproject.toml": "[[",
            "setup.cfg": "[metadata]\nname=a",
            "setup.py": "setup(name='b', x='a')",
        }
        assert declared_packages(files) == ("a", "b")
        assert declared_packages({**files, "setup.py": "setup(name='A')"}) == ("a",)

    @pytest.mark.parametrize(
        ("path", "text", "limit"),
        [
            ("pyproject.toml", '[project]\nname = "demo-kit"\n', 100_000),
            ("setup.cfg", "[metadata]\nname = demo-kit\n", 100_000),
            ("setup.py", "setup(name='demo-kit')\n", 50_000),
        ],
    )
    def test_longest_file_that_is_read(self, path: str, text: str, limit: int) -> None:
        """Parsers take seconds for longer ones that mean ill, and the whole crawl waits."""
        assert declared_packages({path: text.ljust(limit, "\n")}) == ("demo-kit",)
        assert declared_packages({path: text.ljust(limit + 1, "\n")}) == ()

    def test_nothing_is_executed(self, tmp_path: Path) -> None:
        """The file of any repository on GitHub is read."""
        proof_of_it = tmp_path / "executed"
        text = f"open({str(proof_of_it)!r}, 'w').close()\nsetup(name='demo-kit')"
        assert declared_packages({"setup.py": text}) == ("demo-kit",)
        assert not proof_of_it.exists()

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("pyproject.toml", "x = " + "[" * 90_000),
            ("pyproject.toml", "x = " + "{a=" * 30_000),
            ("pyproject.toml", "a" + ".a" * 49_000 + " = 1"),
            ("pyproject.toml", "x = " + "1" * 90_000),
            ("pyproject.toml", "[project]\nname = '" + "a" * 90_000 + "'"),
            ("pyproject.toml", "\ud800\0"),
            ("setup.cfg", "[metadata]\na" + " " * 99_000 + "b"),
            ("setup.cfg", "[metadata]\nname = " + "a" * 90_000),
            ("setup.cfg", "[" * 90_000),
            ("setup.cfg", "\ud800\0"),
            ("setup.py", "-" * 49_000 + "1"),
            ("setup.py", "(" * 49_000),
            ("setup.py", "1" + "+1" * 24_000),
            ("setup.py", "a" + ".b" * 24_000),
            ("setup.py", "lambda:" * 7_000 + "1"),
            ("setup.py", "f'" + "{a}" * 16_000 + "'"),
            ("setup.py", "1" * 49_000),
            ("setup.py", "\ud800\0"),
            *((path, " " * 10_000_000) for path in ("pyproject.toml", "setup.cfg", "setup.py")),
        ],
        ids=lambda text: text[:14].encode("unicode_escape").decode(),
    )
    def test_hostile_file_costs_only_itself(self, path: str, text: str) -> None:
        begin = time.process_time()
        files = {path: text, "kit/setup.cfg": "[metadata]\nname=other"}
        assert declared_packages(files) == ("other",)
        assert time.process_time() - begin < 3

    @given(st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py"]), st.text(max_size=200))
    def test_any_text(self, path: str, text: str) -> None:
        declared_packages({path: text})
        name = declared_packages({path: f"[project]\nname = {text!r}\n[metadata]\nname = {text}"})
        assert len(name) <= 1


def test_real_packages_find_their_repository(real_data: Path) -> None:
    """Of those that link GitHub as their source nearly all must get it; the rest are placeholders."""
    asked, missed = 0, []
    for body in real_documents(real_data):
        try:
            metadata = parse_project(body).metadata
        except ParseError:
            continue
        urls = [url for label, url in (metadata.project_urls or {}).items() if rank(label)[0] is Kind.SOURCE]
        if any("github.com/" in url.lower() for url in urls):
            asked += 1
            found = candidates([release(metadata)])
            if not found or rank(found[0].label)[0] is not Kind.SOURCE:
                missed.append((metadata.name, urls))
    assert asked > 300
    assert len(missed) <= asked * 0.05, missed


def real_documents(real_data: Path) -> Iterator[bytes]:
    with gzip.open(real_data / "pypi_json" / "_corpus_latest.jsonl.gz") as lines:
        yield from (json.dumps(json.loads(line)["doc"]).encode() for line in lines)
    yield from (path.read_bytes() for path in sorted((real_data / "pypi_json").glob("*.json")))
