"""A package's documents say what its facts say, in the schema's types, however odd the facts are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typesense
from hypothesis import given, settings
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.items import PackageItem
from pyf_scrapy.metadata.descriptions import Description, render
from pyf_scrapy.metadata.health import Health, HealthFacts, health
from pyf_scrapy.metadata.releases import combine
from pyf_scrapy.parsers.project_json import parse_project
from pyf_scrapy.parsers.records import File, Vulnerability
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.cleaning import UNWANTED
from pyf_scrapy.search.collections import ensure_collection, import_documents
from pyf_scrapy.search.documents import document_hash, documents
from pyf_scrapy.search.embedded import Server

from .corpus import EVERYTHING, TODAY, Made, check, classifier, client_of, package, release

DESCRIPTION = Description("<p>html</p>", "Title", "First chapter.", "Main.", "1.0 - new")
HEALTH = Health(score=77, breakdown={"recency": {"points": 40, "problems": []}})


def only(made: Made, **options: Any) -> dict[str, Any]:
    (document,) = documents(made, EVERYTHING, TODAY, **options)
    check(document)
    return document


def of(**given: Any) -> dict[str, Any]:
    """The document of a package with one release with this metadata."""
    return only(package("grove.api", release("grove.api", "1.0", **given)))


@pytest.fixture
def several() -> Made:
    """Latest 3.0 for Plone 6.1; 2.4 is the newest for 5.2; 2.3 and the pre-release carry nothing."""
    versions = {"3.0": ["Plone 6.1"], "4.0a1": ["Plone 6.1"], "2.4": ["Plone 5.2"], "2.3": ["Plone 5.2"]}
    releases = [
        release("Grove.API", version, summary="In short", classifiers=tuple(map(classifier, claimed)))
        for version, claimed in versions.items()
    ]
    return package(
        "Grove.API", *releases, descriptions=dict.fromkeys(versions, DESCRIPTION), health=HEALTH, serial=4711
    )


def test_one_document_per_release_newest_first(several: Made) -> None:
    made = documents(several, EVERYTHING, TODAY)
    assert [document["id"] for document in made] == [
        "grove-api==3.0",
        "grove-api==2.4",
        "grove-api==2.3",
        "grove-api==4.0a1",
    ]
    for document in made:
        check(document)
        assert (document["name"], document["name_normalized"]) == ("Grove.API", "grove-api")
        assert (document["name_sortable"], document["registry"]) == ("grove.api", "pypi")


def test_the_maximum_of_version_sortable_is_the_latest(several: Made) -> None:
    made = documents(several, EVERYTHING, TODAY)
    latest = max(made, key=lambda document: str(document["version_sortable"]))
    assert latest["version"] == "3.0"
    assert [document["is_latest"] for document in made] == [True, False, False, False]
    assert [document["is_prerelease"] for document in made] == [False, False, False, True]


def test_text_and_health_stand_where_people_land(several: Made) -> None:
    made = {document["version"]: document for document in documents(several, EVERYTHING, TODAY)}
    assert made["3.0"]["latest_for"] == ["Plone 6.1"]
    assert made["2.4"]["latest_for"] == ["Plone 5.2"]
    for version in ("3.0", "2.4"):
        assert made[version]["first_chapter"] == "In short\n\nFirst chapter."
        assert made[version]["health_score"] == 77
        assert made[version]["health_score_last_calculated"] == 1_793_491_200
    for version in ("2.3", "4.0a1"):
        assert made[version]["description"] == ""
        assert not {"title", "main_content", "changelog", "health_score"} & set(made[version])
    assert datetime.fromtimestamp(1_793_491_200, UTC).date() == TODAY


def test_all_texts_puts_them_on_every_document(several: Made) -> None:
    made = documents(several, EVERYTHING, TODAY, all_texts=True)
    assert all(
        document["description"] == "<p>html</p>" and document["health_score"] == 77 for document in made
    )


def test_facts_of_the_package_do_not_touch_older_releases(several: Made) -> None:
    """Else each new release would send all old ones again."""
    before = {one["id"]: document_hash(one) for one in documents(several, EVERYTHING, TODAY)}
    several.serial += 1
    after = {one["id"]: document_hash(one) for one in documents(several, EVERYTHING, TODAY)}
    assert [id_ for id_ in before if before[id_] != after[id_]] == ["grove-api==3.0"]


@pytest.mark.parametrize(
    ("wanted", "versions"), [(1, ["3.0"]), (2, ["3.0", "2.4"]), (None, ["3.0", "2.4", "2.3", "4.0a1"])]
)
def test_a_profile_may_want_the_newest_only(several: Made, wanted: int | None, versions: list[str]) -> None:
    profile = Profile(key="p", name="P", classifiers=("*",), releases=wanted)
    assert [document["version"] for document in documents(several, profile, TODAY)] == versions


def test_what_flows_through_the_pipelines_is_a_package(several: Made) -> None:
    item = PackageItem(
        name=several.name,
        normalized_name=several.normalized_name,
        serial=several.serial,
        classifiers=(),
        project=several.project,
        releases=several.releases,
        descriptions=several.descriptions,
        health=several.health,
    )
    assert documents(item, EVERYTHING, TODAY) == documents(several, EVERYTHING, TODAY)


def test_a_package_without_releases_has_no_documents() -> None:
    assert documents(Made("x", "x", 1, None, ()), EVERYTHING, TODAY) == []


def test_a_yanked_release_says_why_and_is_not_the_latest() -> None:
    made = package(
        "p",
        release("p", "2", yanked=True, yanked_reason="broken\nwheel"),
        release("p", "1", yanked_reason="x"),
    )
    older, yanked = documents(made, EVERYTHING, TODAY)
    assert (older["version"], older["is_latest"], older["yanked"]) == ("1", True, False)
    assert "yanked_reason" not in older
    assert (yanked["yanked"], yanked["yanked_reason"]) == (True, "broken wheel")


def test_a_partial_release_links_to_its_page_all_the_same() -> None:
    made = package(
        "p",
        release(
            "p", "2", project_url="https://index.invalid/project/p", package_url="https://index.invalid/p"
        ),
        release("p", "1!1+x", partial=True, upload_time=None),
    )
    partial = documents(made, EVERYTHING, TODAY)[0]
    assert (partial["version"], partial["partial"], partial["upload_timestamp"]) == ("1!1+x", True, 0)
    assert made.project is not None
    made.project = msgspec.structs.replace(made.project, metadata=made.releases[1].metadata)
    partial = documents(made, EVERYTHING, TODAY)[0]
    assert partial["project_url"] == "https://index.invalid/project/p/"
    assert partial["release_url"] == "https://index.invalid/project/p/1%211%2Bx/"


def test_vulnerabilities_of_the_latest_are_counted() -> None:
    made = package("p", release("p", "2"), release("p", "1"))
    known = (Vulnerability(id="A"), Vulnerability(id="B"), Vulnerability(id="C", withdrawn="2026-01-01"))
    assert "vulnerabilities" not in documents(made, EVERYTHING, TODAY)[0]  # not reported
    assert made.project is not None
    made.project = msgspec.structs.replace(made.project, vulnerabilities=known)
    latest, older = documents(made, EVERYTHING, TODAY)
    assert latest["vulnerabilities"] == 2
    assert "vulnerabilities" not in older


def test_missing_metadata_is_empty_or_absent() -> None:
    document = of()
    assert document["summary"] == document["author"] == document["bugtrack_url"] == ""
    assert document["keywords"] == document["requires_dist"] == []
    assert not {"requires_python", "home_page", "project_urls", "urls", "license_files"} & set(document)


@pytest.mark.parametrize(
    ("author", "author_email", "expected"),
    [
        ("Hazel Ostrander", "h@grove.invalid", "Hazel Ostrander"),
        (None, "Hazel Ostrander <h@grove.invalid>", "Hazel Ostrander"),
        (
            None,
            '"Grove team, led by Hazel" <h@grove.invalid>, Basil <b@grove.invalid>',
            "Grove team, led by Hazel, Basil",
        ),
        (None, "=?utf-8?q?Jos=C3=A9_R=2C_Jr=2E?= <j@grove.invalid>", "José R, Jr."),
        (None, "=?no-such-charset?q?Jos=C3=A9?= <j@grove.invalid>", "=?no-such-charset?q?Jos=C3=A9?="),
        ("=?utf-8?b?w4VzYQ==?=", None, "Åsa"),
        (None, "h@grove.invalid, b@grove.invalid", ""),
        (None, "not an address", ""),
        (None, None, ""),
    ],
)
def test_author_is_found_where_pep_621_puts_it(
    author: str | None, author_email: str | None, expected: str
) -> None:
    assert of(author=author, author_email=author_email)["author"] == expected
    assert of(maintainer=author, maintainer_email=author_email)["maintainer"] == expected


@pytest.mark.parametrize("nested", ["(", ":"])
def test_addresses_nested_without_end_are_no_names_and_cost_nothing_else(nested: str) -> None:
    """The package could never be indexed, and a feed that had it was an error for everybody."""
    assert of(author_email=nested * 4_000)["author"] == ""


WHOLE_TEXT = "MIT License\n\nPermission is hereby granted" + " to anyone" * 50


@pytest.mark.parametrize(
    ("given_license", "expression", "expected"),
    [
        ("GPL", None, "GPL"),
        ("GPL", "GPL-2.0-only", "GPL"),
        (None, "MIT", "MIT"),
        (WHOLE_TEXT, "MIT", "MIT"),
        (WHOLE_TEXT, None, "MIT License"),
        (WHOLE_TEXT.replace("\n\n", " "), None, WHOLE_TEXT.replace("\n\n", " ")[:200]),
        (None, None, ""),
    ],
)
def test_license_is_short(given_license: str | None, expression: str | None, expected: str) -> None:
    document = of(license=given_license, license_expression=expression)
    assert document["license"] == expected
    assert document.get("license_expression") == expression


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "java\x01script:alert(1)",
        " JavaScript:alert(1)",
        "data:text/html,x",
        "ftp://grove.invalid",
        "www.grove.invalid",
        "http://",
        "http://[",
        "https://grove.invalid/a b",
        "https://grove.invalid/" + "x" * 3000,
        "UNKNOWN",
    ],
)
def test_addresses_that_are_not_http_are_left_out(address: str) -> None:
    document = of(
        home_page=address,
        docs_url=address,
        download_url=address,
        project_url=address,
        package_url=address,
        release_url=address,
        bugtrack_url=address,
        project_urls={"Evil": address, "Good": "https://grove.invalid/#x"},
        files=(File(filename="f.whl", url=address),),
    )
    assert document["project_urls"] == {"Good": "https://grove.invalid/#x"}
    assert document["urls"] == [{"filename": "f.whl"}]
    assert document["bugtrack_url"] == ""
    assert not {"home_page", "docs_url", "download_url", "project_url", "package_url", "release_url"} & set(
        document
    )


def test_files_keep_the_names_of_pypis_json() -> None:
    file = File(
        filename="p-1.tar.gz",
        url="https://files.invalid/p-1.tar.gz",
        packagetype="sdist",
        python_version="source",
        size=0,
        sha256="0" * 64,
        upload_time=1_000_000_000,
        requires_python=">=3.8",
        yanked=False,
    )
    assert of(files=(file,))["urls"] == [
        {
            "filename": "p-1.tar.gz",
            "url": "https://files.invalid/p-1.tar.gz",
            "packagetype": "sdist",
            "python_version": "source",
            "requires_python": ">=3.8",
            "digests": {"sha256": "0" * 64},
            "size": 0,
            "upload_time_iso_8601": "2001-09-09T01:46:40+00:00",
            "yanked": False,
        }
    ]


def test_cleaning_sanitised_html_cannot_make_a_script_of_it() -> None:
    """nh3 lets "java\\x01script:" pass as a relative address; without the control character it would run."""
    made = package("p", release("p", "1"))
    made.descriptions = {"1": Description(html='<a href="java\x01script:alert(1)">x</a>\x00')}
    assert only(made)["description"] == '<a href="java\ufffdscript:alert(1)">x</a>\ufffd'


def test_html_that_is_too_long_gives_way_to_its_plain_text() -> None:
    made = package("p", release("p", "1"))
    made.descriptions = {"1": Description(html="<p>x</p>" * 100_000, main_content='"<b>' * 100_000)}
    description = only(made)["description"]
    assert description.startswith("<pre>")
    assert description.endswith("</pre>")
    assert "<b>" not in description
    assert len(description) > 20_000


def test_a_document_stays_below_a_megabyte_or_so() -> None:
    nasty = '"\\' * 1_000_000
    many = tuple(f"{number}{nasty[:5000]}" for number in range(2000))
    single = ("summary", "author", "license", "platform", "maintainer", "requires_python")
    lists = ("keywords", "classifiers", "requires_dist", "provides_extra", "license_files", "dynamic")
    given: dict[str, Any] = {
        **dict.fromkeys(single, nasty),
        **dict.fromkeys(("author_email", "maintainer_email"), f"{nasty} <a@b.invalid>," * 3),
        **dict.fromkeys(lists, many),
        "project_urls": {label: f"https://grove.invalid/{label}" for label in many},
        "files": tuple(File(filename=name, url=f"https://x.invalid/{name}") for name in many),
    }
    made = package("p", release("p", "1", **given))
    made.descriptions = {"1": Description(*[nasty] * 5)}
    assert len(msgspec.json.encode(only(made))) < 1_150_000


def test_hash_is_about_what_a_document_says(several: Made) -> None:
    today, tomorrow = (documents(several, EVERYTHING, date(2026, 11, day))[0] for day in (1, 2))
    assert today != tomorrow
    assert document_hash(today) == document_hash(tomorrow)
    assert document_hash(dict(reversed(today.items()))) == document_hash(today)
    assert document_hash(today | {"summary": "other"}) != document_hash(today)
    assert len(document_hash(today)) == 8


texts = st.one_of(
    st.none(), st.text(st.characters(codec=None), max_size=30), st.just("=?utf-8?q?=FF?= <a@b>")
)
lists = st.one_of(st.none(), st.lists(st.text(st.characters(codec=None), max_size=8), max_size=3).map(tuple))


@settings(max_examples=150)
@given(
    single=st.fixed_dictionaries(
        dict.fromkeys(
            ("summary", "author", "author_email", "license", "license_expression", "home_page"), texts
        )
    ),
    several=st.fixed_dictionaries(
        dict.fromkeys(("keywords", "requires_dist", "provides_extra", "dynamic"), lists)
    ),
    version=st.text(st.characters(codec=None), min_size=1, max_size=12),
    readme=texts,
)
def test_whatever_strangers_write_makes_a_document(
    single: dict[str, Any], several: dict[str, Any], version: str, readme: str | None
) -> None:
    made = package("p", release("p", version, **single, **several))
    made.descriptions = {version: Description(*[readme or ""] * 5)}
    document = only(made)
    line = msgspec.json.encode(document)
    assert b"\n" not in line
    assert msgspec.json.decode(line) == document
    assert not UNWANTED.search(line.decode())


def recorded() -> list[Path]:
    given_folder = os.environ.get("PYF_REAL_DATA")
    folder = Path(given_folder) if given_folder else Path(__file__).parents[3] / "shared" / "data"
    return sorted((folder / "pypi_json").glob("*.json"))


@pytest.fixture
def client(typesense_server: Server) -> Iterator[typesense.Client]:
    client = client_of(typesense_server)
    yield client
    client.api_call.close()


@pytest.mark.skipif(not recorded(), reason="no recorded documents: set PYF_REAL_DATA to their folder")
def test_documents_of_real_projects_are_taken_by_the_server(client: typesense.Client) -> None:
    made: dict[str, dict[str, Any]] = {}
    for file in recorded()[::3]:
        try:
            project = parse_project(file.read_bytes())
        except ParseError:  # the answer of another service, or cut
            continue
        releases = combine(project, {})
        description = render(project.metadata.description, "text/plain")
        one = Made(project.name, project.normalized_name, project.serial or 0, project, releases)
        one.descriptions = {releases[0].version: description}
        one.health = health(HealthFacts(releases, description, project), TODAY)
        for document in documents(one, EVERYTHING, TODAY):
            check(document)
            made[document["id"]] = document
    assert len(made) > 50
    collection = ensure_collection(client, "real")
    reasons = import_documents(client, collection.name, [msgspec.json.encode(one) for one in made.values()])
    assert {reason for reason in reasons if reason} == set()


def test_an_escape_sequence_leaves_nothing_behind() -> None:
    assert of(summary="\x1b[31mred\x1b[0m and plain")["summary"] == "red and plain"
