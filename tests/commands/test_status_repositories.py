"""Whoever looks after an ecosystem must see which packages have no figures, why, and what they claim.

The store is a real one; nothing is asked.
"""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.store import PackageFacts, RepositoryLink
from tests.commands.world import run_in
from tests.crawling import Place
from tests.store import samples
from tests.store.samples import link, repository

Capture = pytest.CaptureFixture[str]

AT = 1_700_000_000  # 2023-11-14 22:13


def package(name: str, **urls: str) -> PackageFacts:
    """A package with these project_urls; `home_page` is a field of its own."""
    facts = samples.facts("1.0", name=name)
    home_page = urls.pop("home_page", None)
    metadata = msgspec.structs.replace(facts.project.metadata, project_urls=urls, home_page=home_page)
    return replace(facts, project=msgspec.structs.replace(facts.project, metadata=metadata))


def claim(name: str, key: str, proof: Proof = Proof.CLAIMED, *candidates: str) -> RepositoryLink:
    return replace(link(name, key, at=AT, proof=proof), candidates=candidates or (key,))


def none(name: str, problem: str, *candidates: str) -> RepositoryLink:
    return replace(link(name, at=AT), problem=problem, candidates=candidates)


def open_collections(place: Place) -> None:
    profiles = load_profiles()
    with place.store() as store:
        for number, key in enumerate(("plone", "django")):
            store.open_collection(key, profiles[key].definition(), None, f"{key}-1", number, "server")


@pytest.fixture
def asked(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A store after a run of the spider github: each reason once, and each proof."""
    monkeypatch.setenv("COLUMNS", "80")
    open_collections(fresh)
    with fresh.store() as store:
        store.save_packages(
            [
                package("Attested", Source="https://github.com/o/attested"),
                package("Named", Source="https://github.com/o/named"),
                package("Claimed", Source="https://github.com/o/named"),
                package("Renamed", Source="https://github.com/o/old"),
                package("Later", Source="https://github.com/o/later"),
                package("None.At.All", home_page="UNKNOWN"),
                package("Sponsored", Home="https://github.com/sponsors/x", home_page="www.x.org"),
                package("Elsewhere", Code="https://user:secret@gitlab.com/group/elsewhere"),
                package("Lost", Source="https://github.com/o/lost.git"),
                package("Banned", Source="git+ssh://git@github.com/o/banned"),
                package("Silent", Source="https://github.com/o/silent"),
                package("New", Source="https://github.com/o/new"),
            ]
        )
        store.save_repositories(
            [
                repository("github.com/o/attested", stars=1, at=AT),
                repository("github.com/o/named", stars=2, at=AT + 86_400),
                repository("github.com/o/old", stars=3, at=AT + 86_400),
                repository("github.com/o/lost", "not_found", at=AT),
                repository("github.com/o/banned", "blocked", at=AT),
                repository("github.com/o/silent", "unavailable", at=AT),
            ]
        )
        store.rename("github.com/o/old", "github.com/o/present", AT + 86_400)
        store.save_links(
            [
                claim("attested", "github.com/o/attested", Proof.ATTESTED),
                claim("named", "github.com/o/named", Proof.NAMED),
                claim("claimed", "github.com/o/named"),
                claim("renamed", "github.com/o/old", Proof.NAMED),
                claim("later", "github.com/o/later"),
                none("none-at-all", "no_repo_url"),
                none("sponsored", "malformed_identifier"),
                none("elsewhere", "other_forge"),
                none("lost", "not_found", "github.com/o/lost", "github.com/o/older"),
                claim("banned", "github.com/o/banned"),
                claim("silent", "github.com/o/silent"),
            ]
        )
    return fresh


def test_json_has_the_keys_of_pyf_aggregators_report(asked: Place, capsys: Capture) -> None:
    assert run_in(asked, "status", "--repositories", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["count"] == len(report["problems"]) == 6
    assert all(list(one) == ["name", "repo_identifier", "reason", "urls"] for one in report["problems"])
    problems = {
        one["name"]: (one["repo_identifier"], one["reason"], one["urls"]) for one in report["problems"]
    }
    assert problems == {
        "None.At.All": (None, "no_repo_url", {}),
        "Sponsored": (
            None,
            "malformed_identifier",
            {"home_page": "www.x.org", "project_urls.Home": "https://github.com/sponsors/x"},
        ),
        "Elsewhere": (None, "other_forge", {"project_urls.Code": "https://gitlab.com/group/elsewhere"}),
        "Lost": (
            "o/lost",
            "not_found",
            {
                "project_urls.Source": "https://github.com/o/lost.git",
                "older release 1": "https://github.com/o/older",
            },
        ),
        "Banned": ("o/banned", "blocked", {"project_urls.Source": "git+ssh://github.com/o/banned"}),
        "Silent": ("o/silent", "unavailable", {"project_urls.Source": "https://github.com/o/silent"}),
    }


def test_counts_tell_how_far_it_is(asked: Place, capsys: Capture) -> None:
    assert run_in(asked, "status", "--repositories", "--json", "-p", "plone") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["packages"], report["checked"], report["waiting"]) == (12, 11, 1)
    assert report["proofs"] == {"attested": 1, "named": 2, "claimed": 1}
    assert (report["repositories"], report["renamed"], report["oldest"]) == (3, 1, AT)
    assert report["collections"] == ["plone"]
    assert run_in(asked, "status", "--repositories", "--json", "-c", "django") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["collections"], report["packages"], report["count"]) == (["django"], 0, 0)


def test_a_repository_that_failed_only_now_is_no_problem(asked: Place, capsys: Capture) -> None:
    """Its figures are shown still."""
    with asked.store() as store:
        store.save_repositories([repository("github.com/o/named", "unavailable", at=AT + 90_000)])
    assert run_in(asked, "status", "--repositories", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["proofs"]["named"] == 2
    assert "Named" not in {one["name"] for one in report["problems"]}


def test_a_person_reads_sentences(asked: Place, capsys: Capture) -> None:
    assert run_in(asked, "status", "--repositories") == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert all(len(text) <= 80 for text in lines)
    said = " ".join(printed.split())
    assert "with a repository 4: 1 attested, 2 named, 1 claimed; 1 not asked about yet" in said
    assert "repositories 3, 1 of them renamed, oldest facts 2023-11-14 22:13 UTC" in said
    titles = [text for text in lines if text.endswith("): 1")]
    assert titles == [
        "No GitHub URL in package metadata (no_repo_url): 1",
        "Malformed repository identifier (malformed_identifier): 1",
        "Repository is not on GitHub (other_forge): 1",
        "Repository not found (404) (not_found): 1",
        "Repository blocked by GitHub (blocked): 1",
        "GitHub gave no usable answer (unavailable): 1",
    ]
    assert lines[-1] == "The others are looked at by: scrapy crawl github -a profile=django,plone"
    assert "secret" not in printed


def test_what_strangers_wrote_is_no_markup_in_an_issue(asked: Place, capsys: Capture) -> None:
    """Pasted into an issue it would call people by @name, break the table, or show a picture."""
    evil = {
        "@team`x|y\\": "https://github.com/sponsors/a|b`c\\d",
        "![x](//e)": "javascript:alert(1)",
        "\x1b[31mred": "<img src=//e>\n| a |\x9b0m",
    }
    with asked.store() as store:
        store.save_packages([package("Sponsored", **evil)])
        store.save_links([replace(none("sponsored", "malformed_identifier"), checked_at=AT + 1)])
    assert run_in(asked, "status", "--repositories", "--markdown") == 0
    printed = capsys.readouterr().out
    assert not any(ord(character) < 32 and character != "\n" for character in printed)
    assert not {"\x7f", "\x9b", "\\"} & set(printed)
    rows = [text for text in printed.splitlines() if text.startswith("| `")]
    assert len(rows) == 6
    for row in rows:
        assert row.count("|") == 4
        outside = row.split("`")[::2]
        assert {part.strip() for part in outside} <= {"|", "|  |", "|  |  |", "<br>"}
    assert "Sponsored" in printed
    assert "## Repository not found (404) (`not_found`): 1" in printed
    assert "- with a repository: 4: 1 attested" in printed
    lost = next(row for row in rows if "Lost" in row)
    assert lost == (
        "| `Lost` | `o/lost` | `Source: https://github.com/o/lost.git`<br>"
        "`older release 1: https://github.com/o/older` |"
    )


def test_hostile_claims_do_not_move_the_terminal(asked: Place, capsys: Capture) -> None:
    with asked.store() as store:
        store.save_packages(
            [package("Elsewhere", **{"\x1b[2J\u202eCode": "https://gitlab.com/\x07" + "x" * 5000})]
        )
        store.save_links([replace(none("elsewhere", "other_forge"), checked_at=AT + 1)])
    assert run_in(asked, "status", "--repositories") == 0
    printed = capsys.readouterr().out
    assert all(len(text) <= 80 for text in printed.splitlines())
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
    assert len(printed) < 10_000


def test_before_any_run_of_the_spider_it_names_the_command(fresh: Place, capsys: Capture) -> None:
    open_collections(fresh)
    with fresh.store() as store:
        store.save_packages([package("New")])
    for form in ([], ["--markdown"]):
        assert run_in(fresh, "status", "--repositories", "-p", "plone", *form) == 0
        assert "scrapy crawl github -a profile=plone" in capsys.readouterr().out
    assert run_in(fresh, "status", "--repositories", "--json") == 0
    assert json.loads(capsys.readouterr().out)["checked"] == 0


def test_without_a_store_or_collection_it_makes_none(fresh: Place, capsys: Capture) -> None:
    assert run_in(fresh, "status", "--repositories", "-p", "plone") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Nothing crawled yet in ")
    assert printed.endswith("  scrapy crawl pypi -a profile=plone\n")
    assert not fresh.folder.exists()
    open_collections(fresh)
    assert run_in(fresh, "status", "--repositories", "-p", "flask") == 0
    assert capsys.readouterr().out == "No collection flask yet: scrapy crawl pypi -a profile=flask\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--markdown"],
        ["--repositories", "--markdown", "--json"],
        ["--repositories", "--check"],
        ["--repositories", "--failures"],
        ["--repositories", "--retry"],
    ],
)
def test_what_does_not_go_together_is_refused(fresh: Place, capsys: Capture, words: list[str]) -> None:
    """Else a script would take one thing for the other."""
    assert run_in(fresh, "status", *words) == 2
    assert capsys.readouterr().err.startswith("scrapy status: --re")
