"""The JSON API: what programs are built on. If these fail, they get packages that were not asked for, miss
some, or cannot go on to the next page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from pyf_scrapy.parsers.records import RepositoryRecord
from pyf_scrapy.store import RepositoryFacts, RepositoryLink
from pyf_scrapy.web import relevance
from pyf_scrapy.web.api import MAX_BODY
from pyf_scrapy.web.asked import SORT_FIELDS
from tests.web.filling import PLONE, Filled, crawl, released
from tests.web.violations import violations

API = "/api/v1/profiles/plone"
PROBLEM = "application/problem+json"


async def get(served: Filled, path: str, **options: Any) -> httpx.Response:
    async with served.client() as client:
        return await client.get(path, **options)


async def found(served: Filled, **query: Any) -> list[dict[str, Any]]:
    answer = await get(served, f"{API}/packages", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["packages"]
    if "q" not in query:
        assert answer.json()["found"] == len(listed)
    return listed


async def names(served: Filled, **query: Any) -> list[str]:
    return [row["name"] for row in await found(served, **query)]


async def all_pages(served: Filled, path: str, rows: str, params: Mapping[str, Any]) -> list[Any]:
    """The rows of all pages, by the link to the next one."""
    collected: list[Any] = []
    async with served.client() as client:
        answer = await client.get(path, params=params)
        for _ in range(200):
            assert answer.status_code == 200, answer.text
            collected += answer.json()[rows]
            if "next" not in answer.links:
                assert answer.json()["next"] is None
                return collected
            assert len(answer.json()[rows]) <= int(params.get("limit", 20))
            answer = await client.get(str(answer.url.join(answer.links["next"]["url"])))
    raise AssertionError("the pages do not end")


async def test_the_list_has_all_packages_of_the_profile_and_no_others(served: Filled) -> None:
    listed = [row["name_normalized"] for row in await found(served)]
    assert listed == sorted(served.replica.replica.members(PLONE))


async def test_pages_together_are_the_whole_list(served: Filled) -> None:
    whole = await found(served)
    for limit in (1, 7, len(whole)):
        assert await all_pages(served, f"{API}/packages", "packages", {"limit": limit}) == whole
    some = await all_pages(
        served, f"{API}/packages", "packages", {"limit": 1, "name": ["pyf-new", "Pyf.Base", "PYF_OLD"]}
    )
    assert [row["name"] for row in some] == ["Pyf.Base", "pyf-new", "pyf-old"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "PYF__base"}, ["Pyf.Base"]),
        ({"name": ["pyf-old", "nonesuch"]}, ["pyf-old"]),
        ({"author": "ada  LOVELACE", "keyword": "engine"}, ["Pyf.Base"]),
        ({"author": "Lovelace"}, []),
        ({"author": "ada@example.org"}, ["Pyf.Base"]),
        ({"maintainer": "old man"}, ["collective.easyform", "pyf-old"]),
        ({"keyword": "ENGINE"}, ["Pyf.Base"]),
        ({"keyword": ["engine", "nonesuch"]}, []),
        ({"repository": "git@github.com:pyf-org/Pyf.Base.git"}, ["Pyf.Base"]),
        ({"repository": "https://github.com/pyf-org/pyf.base/issues/7"}, ["Pyf.Base"]),
        ({"repository": "no repository"}, []),
        ({"author": "ada lovelace", "keyword": "nonesuch"}, []),
        ({"name": ["pyf-old", "pyf-new"], "maintainer": "old man"}, ["pyf-old"]),
    ],
)
async def test_filters_find_what_packages_say_exactly(
    served: Filled, query: dict[str, Any], expected: list[str]
) -> None:
    assert await names(served, **query) == expected


async def test_a_classifier_covers_those_below_it(served: Filled) -> None:
    whole = await names(served)
    assert await names(served, classifier=PLONE) == whole
    narrow = await names(served, classifier=f"{PLONE} :: 6.0")
    assert "Pyf.Base" in narrow
    assert len(narrow) < len(whole)
    assert await names(served, classifier="Framework :: Plon") == []


@pytest.mark.parametrize(
    ("specifier", "versions"),
    [
        ("pyf.base", ["2.0", "1.0"]),
        ("pyf.base>=2", ["2.0"]),
        ("PYF_BASE<2", ["1.0"]),
        ("pyf.base==2.1", ["2.1"]),  # yanked, but asked for by its very version
        ("pyf.base==2.*", ["2.0"]),
        ("pyf.base>=3.0rc1", ["3.0rc1"]),  # a pre-release that is named
        ("pyf.base>2.1", ["3.0rc1"]),  # there is nothing else
        ("pyf.base>=2,<2.1", ["2.0"]),
        ("pyf.base~=1.0", ["1.0"]),
        ("pyf.base>=4", None),
    ],
)
async def test_a_specifier_finds_the_packages_that_have_such_a_release(
    served: Filled, specifier: str, versions: list[str] | None
) -> None:
    rows = await found(served, specifier=specifier)
    assert [(row["name"], row["matching_versions"]) for row in rows] == (
        [] if versions is None else [("Pyf.Base", versions)]
    )


async def test_several_specifiers_are_a_requirements_file(served: Filled) -> None:
    rows = await found(served, specifier=["pyf-old==1.0", "pyf.base>=2", "pyf.base<2", "nonesuch>1"])
    assert {row["name"]: row["matching_versions"] for row in rows} == {
        "Pyf.Base": ["2.0", "1.0"],
        "pyf-old": ["1.0"],
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Pyf_Base", ["pyf-any", "pyf-new", "pyf-old"]),
        ("pyf.base>=2", ["pyf-any", "pyf-new"]),
        ("pyf.base==1.0", ["pyf-any", "pyf-old"]),
        ("pyf.base>=4", ["pyf-any"]),
        ("pyf.other", ["pyf-old"]),
        ("nonsense", []),
    ],
)
async def test_dependents_are_those_whose_requirement_such_a_release_can_meet(
    served: Filled, asked: str, expected: list[str]
) -> None:
    assert await names(served, depends_on=asked) == expected


async def test_requires_python_is_compared_as_versions(served: Filled) -> None:
    async def known(asked: str) -> set[str]:
        return set(await names(served, name=["Pyf.Base", "pyf-old", "pyf-any"], requires_python=asked))

    always = {"pyf-old", "pyf-any"}  # says nothing; says nothing that can be read
    assert await known("3.10") == {"Pyf.Base", *always}
    assert await known("3.8") == always
    assert await known("<3.9") == always
    assert await known(">=3.8,<3.10") == {"Pyf.Base", *always}


@pytest.mark.parametrize(("sort", "field"), sorted(SORT_FIELDS.items()))
async def test_packages_are_sorted_as_on_the_pages_on_all_pages(
    served: Filled, sort: str, field: str
) -> None:
    for query in ({}, {"q": "plone"}):
        whole = await found(served, **query)
        pages = await all_pages(served, f"{API}/packages", "packages", {**query, "sort": sort, "limit": 7})
        values = [row.get(field, -1) for row in pages]
        assert values == sorted(values, reverse=True)
        assert sorted(row["name"] for row in pages) == sorted(row["name"] for row in whole)


async def test_words_are_searched_and_filters_hold_for_the_hits(served: Filled) -> None:
    assert (await names(served, q="pyf base"))[0] == "Pyf.Base"
    assert await names(served, q="pyf", maintainer="old man") == ["pyf-old"]
    assert await names(served, q="pyf", name=["pyf-new", "collective-nonesuch"]) == ["pyf-new"]
    assert await names(served, q="xyzzyxyzzy") == []
    assert await names(served, q="pyf", author="nobody") == []
    whole = await found(served, q="plone")
    pages = await all_pages(served, f"{API}/packages", "packages", {"q": "plone", "limit": 3})
    assert pages == whole
    assert len(whole) > 3


async def test_hits_are_filtered_one_by_one_where_very_many_packages_pass(
    served: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cannot all be named to the search server."""
    query = {"q": "plone", "requires_python": "3.12"}
    named = await found(served, **query)
    monkeypatch.setattr(relevance, "_NAMED", 0)
    monkeypatch.setattr(relevance, "_HITS", 7)
    assert await found(served, **query) == named
    assert await all_pages(served, f"{API}/packages", "packages", {**query, "limit": 3}) == named
    monkeypatch.setattr(relevance, "_MOST_READ", 14)
    assert await all_pages(served, f"{API}/packages", "packages", {**query, "limit": 30}) == named
    monkeypatch.setattr(relevance, "_DEEPEST", 7)
    assert len(await all_pages(served, f"{API}/packages", "packages", query)) <= 7


@pytest.mark.parametrize(
    "text", ["`) || (is_latest:false", "`", "a`:b && x", "*", "name:=x", "'\"\\", "\0\x1b"]
)
async def test_what_users_write_is_never_a_filter_of_the_server(served: Filled, text: str) -> None:
    for query in ({"q": text}, {"author": text}, {"keyword": text}, {"repository": text}):
        listed = await found(served, **query)
        assert len({row["name"] for row in listed}) == len(listed)
    for path in (f"{API}/packages/pyf-base/releases/{text}", f"/api/v1/profiles/{text}/packages"):
        answer = await get(served, quote(path))
        assert answer.status_code == 404


async def test_a_package_is_shown_with_all_that_is_known(served: Filled) -> None:
    answer = await get(served, f"{API}/packages/PYF__base")
    shown = answer.json()
    assert (shown["name"], shown["version"], shown["is_latest"]) == ("Pyf.Base", "2.0", True)
    document = served.place.documents("plone")["pyf-base==2.0"]
    of_the_document = {name: value for name, value in shown.items() if name in document}
    assert {name: document[name] for name in of_the_document} == of_the_document
    assert shown.keys() - document.keys() == {
        *("roles", "advisories", "dependencies", "dependents", "dependents_found"),
        "health_score_last_calculated",  # `documents` leaves it out
    }
    older = (await get(served, f"{API}/packages/pyf-base/releases/2.1")).json()
    assert (older["version"], older["yanked"]) == ("2.1", True)
    assert older["urls"][0]["digests"]["sha256"]


async def test_the_state_of_the_index_is_told(served: Filled) -> None:
    state = (await get(served, "/api/v1/status")).json()
    counts = {one["collection"]: one for one in state["collections"]}
    assert set(counts) == {"plone", "django"}
    assert counts["django"]["indexed"] == counts["django"]["members"] == 3
    assert state["checked"] == state["listed"]
    assert state["runs"][0]["spider"] == "pypi"
    assert str(served.place.folder) not in str(state), "of the machine nothing is told"


async def test_releases_are_listed_the_latest_first(served: Filled) -> None:
    path = f"{API}/packages/pyf.base/releases"
    rows = await all_pages(served, path, "releases", {"limit": 3})
    assert [row["version"] for row in rows] == ["2.0", "1.0", "3.0rc1", "2.1"]
    assert [row["yanked"] for row in rows] == [False, False, False, True]


async def test_values_are_counted(served: Filled) -> None:
    rows = await all_pages(served, f"{API}/values/keywords", "values", {"limit": 5})
    counts = {row["value"]: row["packages"] for row in rows}
    assert counts["Engine"] == 1
    assert list(counts) == sorted(counts)
    for field, value in (("authors", "Ada Lovelace"), ("maintainers", "Old Man"), ("classifiers", PLONE)):
        rows = await all_pages(served, f"{API}/values/{field}", "values", {"limit": 100})
        assert value in {row["value"] for row in rows}


async def test_many_are_looked_up_at_once_in_the_order_asked_for(served: Filled) -> None:
    asked = ["nonesuch", "Pyf_Base", *(f"nonesuch-{number}" for number in range(97)), "pyf-new"]
    repositories = ["https://github.com/Pyf-Org/pyf.base", "nothing", "https://github.com/no/where"]
    async with served.client() as client:
        answer = await client.post(f"{API}/lookup", json={"names": asked, "repositories": repositories})
    result = answer.json()
    assert [one["asked"] for one in result["names"]] == asked
    packages = [one["package"] for one in result["names"]]
    assert [row["name"] for row in packages if row] == ["Pyf.Base", "pyf-new"]
    assert [[row["name"] for row in one["packages"]] for one in result["repositories"]] == [
        ["Pyf.Base"],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"names": ["a b"]}', 400),
        (b'{"names": [' + b",".join([b'"a"'] * 101) + b"]}", 400),
        (b'{"more": 1}', 400),
        (b" " * (MAX_BODY + 1), 413),
    ],
)
async def test_a_look_up_that_is_none_is_refused(served: Filled, body: bytes, status: int) -> None:
    async with served.client() as client:
        answer = await client.post(f"{API}/lookup", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"{API}/packages?specifer=a", 400, "specifer"),
        (f"{API}/packages?limit=101", 400, "limit"),
        (f"{API}/packages?limit=0", 400, "limit"),
        (f"{API}/packages?specifier=a>=>1", 400, "specifier"),
        (f"{API}/packages?requires_python=three", 400, "requires_python"),
        (f"{API}/packages?cursor=!", 400, "cursor"),
        (f"{API}/packages?cursor=abcd", 404, "cursor"),
        (f"{API}/packages?q={'x' * 401}", 400, "q"),
        (f"{API}/packages/nonesuch", 404, "nonesuch"),
        (f"{API}/packages/nonesuch/releases", 404, "nonesuch"),
        (f"{API}/packages/pyf-base/releases/9", 404, "9"),
        ("/api/v1/profiles/nonesuch/packages", 404, "nonesuch"),
        ("/api/v1/nonesuch", 404, "no such page"),
        (f"{API}/packages?name={'x' * 60_000}", 414, None),
    ],
)
async def test_bad_input_is_a_problem_that_says_what_is_wrong(
    served: Filled, path: str, status: int, told: str | None
) -> None:
    answer = await get(served, path, headers={"accept": "text/html,*/*"})
    assert answer.status_code == status
    if told is not None:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["status"] == status
        assert told in answer.json()["detail"]


async def test_a_link_that_no_client_takes_is_left_out(served: Filled) -> None:
    """A hundred long addresses: the cursor in the body leads on."""
    query = {"limit": 1, "name": ["Pyf.Base", "pyf-any", *(f"nonesuch-{i:0>90}" for i in range(98))]}
    answer = await get(served, f"{API}/packages", params=query)
    assert "link" not in answer.headers
    following = await get(served, f"{API}/packages", params={**query, "cursor": answer.json()["next"]})
    assert [row["name"] for row in following.json()["packages"]] == ["Pyf.Base"]


async def test_a_cursor_of_another_query_is_refused(served: Filled) -> None:
    """It would leave out packages without a word."""
    cursor = (await get(served, f"{API}/packages?limit=1")).json()["next"]
    search = (await get(served, f"{API}/packages?q=plone&limit=1")).json()["next"]
    for path in (
        f"{API}/packages?author=x&cursor={cursor}",
        f"/api/v1/profiles/django/packages?cursor={cursor}",
        f"{API}/packages/pyf-base/releases?cursor={cursor}",
        f"{API}/packages?cursor={search}",
        f"{API}/packages?cursor={cursor[:-2]}",
    ):
        assert (await get(served, path)).status_code == 404


async def test_what_has_not_changed_is_not_sent_again(served: Filled) -> None:
    for path in (f"{API}/packages", f"{API}/packages/pyf-base", "/api/v1/profiles", "/api/v1/openapi.json"):
        first = await get(served, path)
        tag = first.headers["etag"]
        again = await get(served, path, headers={"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await get(served, path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_head_is_answered_like_get(served: Filled) -> None:
    async with served.client() as client:
        answers = [await client.head(path) for path in (f"{API}/packages", "/api/v1/openapi.json")]
    assert [(answer.status_code, "etag" in answer.headers) for answer in answers] == [(200, True)] * 2


def test_the_api_keeps_what_its_description_promises(served: Filled) -> None:
    made, found = violations(served.app, 3, "examples", "coverage", "fuzzing")
    assert made > 200
    assert not found


@pytest.mark.soak
def test_the_api_keeps_what_its_description_promises_for_long(served: Filled) -> None:
    made, found = violations(served.app, 300, "examples", "coverage", "fuzzing", "stateful")
    print(f"soak: {made:,} requests, {len(found)} violations")
    assert made > 3_000
    assert not found


class TestNews:
    """What the index gets is in the next answer."""

    async def test_a_repository_by_which_the_package_is_found(self, served: Filled) -> None:
        key = "github.com/some/where"
        record = RepositoryRecord("id", "Some", "Where", stars=5)
        with served.place.store() as store:
            store.save_links([RepositoryLink("pyf-any", key, 2**33, url=f"https://{key}")])
            store.save_repositories([RepositoryFacts(key, "ok", 2**33, record=record)])
        await crawl(served.place)
        (row,) = await found(served, repository="some/where at https://GitHub.com/Some/Where/")
        assert (row["name"], row["github_stars"]) == ("pyf-any", 5)

    async def test_a_list_goes_on_where_it_was_whatever_is_added_before(self, served: Filled) -> None:
        """With page numbers a package would come twice, and another one never."""
        whole = await names(served)
        first = (await get(served, f"{API}/packages", params={"limit": 5})).json()
        served.replica.event(released("aaa-first", "1.0", new=True))
        await crawl(served.place)
        following = await get(served, f"{API}/packages", params={"limit": 5, "cursor": first["next"]})
        assert [row["name"] for row in following.json()["packages"]] == whole[5:10]
        assert (await names(served))[0] == "aaa-first"

    async def test_a_search_goes_on_behind_the_package_where_it_was(self, served: Filled) -> None:
        """By number, the package that a new one pushed onto the next page would come twice."""
        served.replica.event(*(released(f"zetaword.part{number}", "1.0", new=True) for number in range(5)))
        await crawl(served.place)
        whole = await names(served, q="zetaword")
        query = {"q": "zetaword", "limit": 2}
        first = (await get(served, f"{API}/packages", params=query)).json()
        served.replica.event(released("zetaword", "1.0", new=True))
        await crawl(served.place)
        assert (await names(served, q="zetaword"))[0] == "zetaword"
        query["cursor"] = first["next"]
        following = (await get(served, f"{API}/packages", params=query)).json()
        assert [row["name"] for row in following["packages"]] == whole[2:4]
        served.replica.event({"event": "delete-project", "project": whole[1]})
        await crawl(served.place)
        assert (await get(served, f"{API}/packages", params=query)).status_code == 200

    async def test_releases_go_on_behind_the_one_where_they_were(self, served: Filled) -> None:
        name = "pyf-releases"
        served.replica.event(released(name, "1.0.0", new=True), released(name, "2.0"), released(name, "1.0"))
        await crawl(served.place)
        path = f"{API}/packages/{name}/releases"
        pages = await all_pages(served, path, "releases", {"limit": 1})
        assert [row["version"] for row in pages] == ["2.0", "1.0.0", "1.0"]
        cursor = (await get(served, f"{path}?limit=1")).json()["next"]
        served.replica.event(released(name, "3.0"))
        await crawl(served.place)
        following = (await get(served, f"{path}?limit=1&cursor={cursor}")).json()
        assert [row["version"] for row in following["releases"]] == ["1.0.0"]

    async def test_new_changed_and_removed_packages(self, served: Filled) -> None:
        before = (await get(served, f"{API}/packages?limit=100")).headers["etag"]
        served.replica.event(
            released("pyf-late", "1.0", new=True),
            released("pyf-old", "2.0", maintainer="New Man"),
            {"event": "delete-project", "project": "pyf-new"},
        )
        await crawl(served.place)
        assert await names(served, name="pyf-late") == ["pyf-late"]
        assert await names(served, maintainer="new man") == ["pyf-old"]
        assert await names(served, maintainer="old man") == ["collective.easyform"]
        assert await names(served, name="pyf-new") == []
        assert (await get(served, f"{API}/packages/pyf-new")).status_code == 404
        assert (await get(served, f"{API}/packages?limit=100")).headers["etag"] != before
