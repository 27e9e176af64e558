"""The pages for people: without these, somebody does not find a package, or reads what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import lxml.html
import pytest
from packaging.utils import canonicalize_name

from pyf_scrapy.dates import minute
from pyf_scrapy.web.asked import CHOICES, SORTS, Asked
from tests.web.asking import Client
from tests.web.world import EVIL_NAME, YANK_REASON, World

Get = Callable[..., str]


def names(page: str) -> list[str]:
    """The packages that a page lists."""
    return [link.get("href").rpartition("/")[2] for link in tree(page).cssselect("a.open")]


def tree(page: str) -> Any:
    return lxml.html.document_fromstring(page)


def texts(page: str, selector: str) -> list[str]:
    return [" ".join(element.text_content().split()) for element in tree(page).cssselect(selector)]


@pytest.fixture(scope="module")
def latest(world: World) -> dict[str, dict[str, Any]]:
    """The document of each package's latest release, without the hostile one."""
    documents = world.place.documents("plone").values()
    return {
        d["name_normalized"]: d for d in documents if d["is_latest"] and d["name_normalized"] != EVIL_NAME
    }


class TestSearching:
    def test_the_start_leads_to_the_first_profile(self, client: Client) -> None:
        answer = client.get("/", follow_redirects=False)
        assert answer.status_code == 307
        assert answer.headers["location"] == "/p/plone/"

    def test_all_packages_can_be_paged_through_each_once(self, get: Get, world: World) -> None:
        seen: list[str] = []
        for page in range(1, 4):
            seen += names(get("/p/plone/", page=page))
        assert sorted(seen) == sorted([*world.members("Plone"), EVIL_NAME])

    def test_a_name_with_a_letter_missing_is_found(self, get: Get, latest: dict[str, Any]) -> None:
        name = max(latest, key=len)
        word = name.rpartition("-")[2]
        assert name in names(get("/p/plone/", q=word[:3] + word[4:]))

    @pytest.mark.parametrize(
        ("sort", "field"),
        [
            ("health", "health_score"),
            ("downloads", "download_last_month"),
            ("stars", "github_stars"),
            ("released", "upload_timestamp"),
        ],
    )
    def test_it_is_sorted_by_what_was_chosen_unknown_ones_last(
        self, get: Get, latest: dict[str, Any], sort: str, field: str
    ) -> None:
        found = [name for name in names(get("/p/plone/", sort=sort)) if name != EVIL_NAME]
        values = [latest[name].get(field, -1) for name in found]
        assert values == sorted(values, reverse=True)

    def test_a_facet_narrows_down_to_as_many_packages_as_it_says(self, get: Get) -> None:
        page = tree(get("/p/plone/"))
        link = next(a for a in page.cssselect(".choices a") if "framework=" in a.get("href"))
        count = int(link.cssselect(".n")[0].text)
        narrowed = get(link.get("href"))
        assert f"{count} package" in texts(narrowed, ".count")[0]
        assert len(tree(narrowed).cssselect(".chosen a")) == 1

    def test_every_kind_of_facet_is_offered(self, get: Get) -> None:
        page = get("/p/plone/")
        for key in ("framework", "python", "licence", "topic", "health", "status"):
            assert f"{key}=" in page, key

    @pytest.mark.parametrize("key", ["health", "status"])
    def test_states_and_bands_of_health_say_how_many_packages_they_leave(
        self, get: Get, client: Client, key: str
    ) -> None:
        facets = client.get("/api/v1/profiles/plone/facets").json()["facets"]
        told = {one["value"]: one["packages"] for f in facets if f["key"] == key for one in f["values"]}
        assert any(told.values())
        counts = f"[aria-labelledby=group-{key}] .n"
        assert texts(get("/p/plone/"), counts) == [str(number) for number in told.values()]
        for value, number in told.items():
            narrowed = get("/p/plone/", **{key: value})
            said = f"{number} package" if number else "No package found."
            assert texts(narrowed, ".count")[0].startswith(said), value
            # Any of them will do, so that the others still say what they have.
            assert texts(narrowed, counts) == [str(number) for number in told.values()]

    def test_what_would_find_nothing_is_no_link_and_what_finds_nothing_says_what_may(self, get: Get) -> None:
        page = get("/p/plone/")
        none = texts(page, ".choices .none")
        assert none
        assert all(text.endswith(" 0") for text in none)
        (way,) = tree(get("/p/plone/", q="xyzzyqqq", health="good")).cssselect(".found p a")
        assert (way.text, way.get("href")) == (
            "Search “xyzzyqqq” without the choices",
            "/p/plone/?q=xyzzyqqq",
        )
        assert "other words" in texts(get("/p/plone/", q="xyzzyqqq"), ".found p")[1]

    def test_as_much_can_be_chosen_as_is_allowed(self, client: Client) -> None:
        """The search server refuses a filter of more than a hundred parts."""
        kinds: dict[str, Any] = {
            key: [f"{key} {n}" for n in range(5)] for key in ("framework", "python", "topic")
        }
        kinds |= {key: [choice.value for choice in choices] for key, choices in CHOICES.items()}
        everything = {"q": "plone 4 plone 5 plone 6", "licence": "MIT", **kinds}
        assert client.get("/api/v1/profiles/plone/facets", params=everything).json()["found"] == 0
        many = {"q": "plone 4 plone 5 plone 6", "framework": [f"Plone {n}" for n in range(20)]}
        assert client.get("/p/plone/", params=many).status_code == 200

    def test_two_values_of_a_facet_must_both_be_true(self, get: Get, latest: dict[str, Any]) -> None:
        chosen = {"Plone 5.2", "Plone 6.0"}
        expected = {name for name, d in latest.items() if chosen <= set(d["framework_versions"])}
        page = get(f"/p/plone/?{urlencode([('framework', value) for value in sorted(chosen)])}")
        assert set(names(page)) <= expected
        assert f"{len(expected)} package" in texts(page, ".count")[0]

    def test_bands_of_health_divide_the_packages_among_them(self, get: Get, latest: dict[str, Any]) -> None:
        page = get("/p/plone/", health="good")
        good = {name for name, document in latest.items() if document["health_score"] >= 80}
        assert set(names(page)) <= good | {EVIL_NAME}
        assert f"{len(good) + 1} package" in texts(page, ".count")[0]

    def test_one_of_several_bands_is_enough(self, get: Get) -> None:
        everything = get("/p/plone/?health=good&health=fair&health=weak&health=poor")
        assert texts(everything, ".count") == texts(get("/p/plone/"), ".count")

    def test_the_other_profile_is_one_click_away_and_keeps_the_words(self, get: Get, world: World) -> None:
        page = tree(get("/p/plone/", q="form", sort="stars"))
        link = next(a for a in page.cssselect(".switch a") if a.text == "Django")
        assert link.get("href") == "/p/django/?q=form&sort=stars"
        assert set(names(get("/p/django/"))) == set(world.members("Django"))

    def test_the_part_for_typing_is_the_same_without_the_page_around(self, get: Get) -> None:
        part = get("/p/plone/results", q="form")
        assert "<html" not in part
        assert names(part) == names(get("/p/plone/", q="form"))

    def test_the_form_keeps_what_was_chosen_without_a_script(self, get: Get) -> None:
        form = tree(get("/p/plone/?framework=Plone+6.0&sort=stars&q=form")).forms[0]
        assert dict(form.form_values()) == {"q": "form", "sort": "stars", "framework": "Plone 6.0"}

    @pytest.mark.parametrize(
        "query",
        ["page=0", "page=x", "page=251", "sort=size", "health=best", f"q={'x' * 401}", "page=" + "9" * 99],
    )
    def test_what_cannot_be_asked_is_one_line_and_says_what_can(self, client: Client, query: str) -> None:
        answer = client.get(f"/p/plone/?{query}", headers={"accept": "text/html"})
        assert answer.status_code == 400
        assert len(texts(answer.text, "main p")) == 3

    def test_a_page_behind_the_last_one_says_so(self, get: Get) -> None:
        assert texts(get("/p/plone/", page=200), ".count") == ["46 packages found, on 3 pages."]

    def test_the_address_of_a_search_says_all_of_it(self) -> None:
        pairs = [
            ("q", "a b"),
            ("framework", "Plone 6.0"),
            ("framework", "Plone 6.1"),
            ("sort", "stars"),
            ("page", "2"),
        ]
        asked = Asked.from_parameters(pairs)
        assert asked.query == f"?{urlencode(pairs)}"
        assert asked.toggled("framework", "Plone 6.0").pairs == [("framework", "Plone 6.1")]
        assert asked.unfiltered().query == "?q=a+b&sort=stars"
        assert set(SORTS) == {"relevance", "health", "downloads", "stars", "released"}


class TestPackage:
    def test_it_has_what_the_index_knows(self, get: Get, latest: dict[str, Any]) -> None:
        for name, document in list(latest.items())[:10]:
            page = get(f"/p/plone/packages/{name}")
            assert texts(page, "h1") == [f"{document['name']} {document['version']}"]
            if document["summary"]:
                assert texts(page, ".lead") == [document["summary"]]

    def test_another_spelling_leads_to_it(self, client: Client, latest: dict[str, Any]) -> None:
        name = next(name for name in latest if "-" in name)
        answer = client.get(f"/p/plone/packages/{name.replace('-', '.').title()}", follow_redirects=False)
        assert answer.status_code == 308
        assert answer.headers["location"] == f"/p/plone/packages/{name}"

    def test_an_unknown_one_offers_similar_names(self, client: Client, latest: dict[str, Any]) -> None:
        name = max(latest, key=len)
        answer = client.get(f"/p/plone/packages/{name}x", headers={"accept": "text/html"})
        assert answer.status_code == 404
        assert latest[name]["name"] in answer.text

    def test_what_is_not_there_can_be_searched_in_the_same_profile(self, client: Client) -> None:
        page = client.get("/p/django/packages/nosuch", headers={"accept": "text/html"})
        assert page.status_code == 404
        (link,) = tree(page.text).cssselect("main a")
        assert (link.text, link.get("href")) == ("Search “nosuch”", "/p/django/?q=nosuch")

    def test_all_releases_are_listed_newest_first_with_why_they_were_yanked(
        self, get: Get, world: World
    ) -> None:
        name, version = world.yanked
        own = [d for d in world.place.documents("plone").values() if d["name_normalized"] == name]
        own.sort(key=lambda document: document["version_sortable"], reverse=True)
        page = get(f"/p/plone/packages/{name}")
        shown = texts(page, "#releases ~ table tbody th, #releases ~ details tbody th")
        assert shown == [document["version"] for document in own]
        assert version in texts(page, "tr.yanked th")
        assert any(YANK_REASON in text for text in texts(page, "tr.yanked"))

    def test_dependencies_and_dependents_in_the_profile_are_links_to_each_other(
        self, get: Get, latest: dict[str, Any]
    ) -> None:
        needing = {
            name: known
            for name, document in latest.items()
            if (known := {canonicalize_name(text) for text in document["requires_dist"]} & set(latest))
        }
        assert needing
        for name, others in list(needing.items())[:5]:
            links = tree(get(f"/p/plone/packages/{name}")).cssselect("#needs ~ ul a")
            assert {a.get("href").rpartition("/")[2] for a in links} >= others
            for link in links:
                back = tree(get(link.get("href"))).cssselect("#needed ~ ul a, #needed ~ details a")
                assert f"/p/plone/packages/{name}" in [a.get("href") for a in back]

    def test_the_health_is_explained_point_by_point_and_sums_up(
        self, get: Get, latest: dict[str, Any]
    ) -> None:
        name = min(latest, key=lambda name: latest[name]["health_score"])
        page = get(f"/p/plone/packages/{name}")
        points = [int(text) for text in texts(page, "#health ~ details td:nth-child(2)") if text]
        assert points[-1] == latest[name]["health_score"]
        assert sum(points[:-1]) == points[-1]
        assert len(texts(page, ".advice li")) == len(latest[name]["health_score_breakdown"]["remedies"]) > 0

    def test_figures_of_the_repository_and_downloads_tell_their_age(
        self, get: Get, latest: dict[str, Any]
    ) -> None:
        name = next(name for name, d in latest.items() if "github_stars" in d and "download_last_month" in d)
        page = get(f"/p/plone/packages/{name}")
        assert f"{latest[name]['github_stars']:,}" in texts(page, "#repository ~ dl dd")
        assert "UTC" in texts(page, "#repository ~ .small")[0]
        assert f"{latest[name]['download_last_month']:,} in the last month" in page
        assert len(tree(page).cssselect(".bars svg")) == 3

    def test_programs_get_all_that_the_page_shows(
        self, get: Get, client: Client, latest: dict[str, dict[str, Any]]
    ) -> None:
        seen: Counter[str] = Counter()
        for name in list(latest)[:25]:
            page = get(f"/p/plone/packages/{name}")
            answer = client.get(f"/api/v1/profiles/plone/packages/{name}").json()
            people = texts(page, "#people ~ dl dd")
            assert all(role["user"] in people for role in answer["roles"])
            for section, found in (
                ("needs", [one["name_normalized"] for one in answer["dependencies"] if one["in_profile"]]),
                ("needed", [one["name_normalized"] for one in answer["dependents"]]),
            ):
                links = tree(page).cssselect(f"#{section} ~ ul a, #{section} ~ details a")
                assert sorted(a.get("href").rpartition("/")[2] for a in links) == sorted(found)
                seen[section] += len(found)
            assert texts(page, "#needed .n") == [str(answer["dependents_found"])]
            if "repository_fetched_at" in answer:
                assert str(minute(answer["repository_fetched_at"])) in texts(page, "#repository ~ .small")[0]
            remedies = answer["health_score_breakdown"]["remedies"]
            shown = texts(page, ".advice li")
            assert len(shown) == len(remedies)
            assert all(one["remedy"] in text for one, text in zip(remedies, shown, strict=True))
            for key in ("roles", "repository_fetched_at"):
                seen[key] += bool(answer.get(key))
            seen["remedies"] += len(remedies)
        assert all(seen.values()), f"the packages have all of it: {seen}"

    def test_the_badge_shows_the_score(self, client: Client, latest: dict[str, Any]) -> None:
        name, document = next(iter(latest.items()))
        answer = client.get(f"/p/plone/packages/{name}/badge.svg")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert f"<title>health: {document['health_score']}</title>" in answer.text
        assert client.get("/p/plone/packages/nobody/badge.svg").status_code == 404


class TestLists:
    @pytest.mark.parametrize(
        ("kind", "field"), [("author", "author"), ("maintainer", "maintainer"), ("keyword", "keywords")]
    )
    def test_all_packages_of_a_person_or_with_a_keyword_are_listed(
        self, get: Get, latest: dict[str, Any], kind: str, field: str
    ) -> None:
        name, document = next((n, d) for n, d in latest.items() if d[field])
        value = document[field] if isinstance(document[field], str) else document[field][0]
        same = {n for n, d in latest.items() if value == d[field] or value in d[field]}
        assert {name} <= set(names(get(f"/p/plone/{kind}", name=value))) <= same
        page = get(f"/p/plone/packages/{name}")
        assert f"/p/plone/{kind}?{urlencode({'name': value})}".replace("+", "%20") in page

    def test_keywords_say_how_many_packages_use_them(self, get: Get) -> None:
        link = tree(get("/p/plone/keywords")).cssselect(".cloud a")[0]
        count = int(link.cssselect(".n")[0].text)
        assert f"{count} package" in texts(get(link.get("href")), ".count")[0]

    @pytest.mark.parametrize(
        "path", ["/p/plone/author", "/p/plone/author?name=%20", f"/p/plone/keyword?name={'x' * 2_001}"]
    )
    def test_a_list_of_nobody_is_refused(self, client: Client, path: str) -> None:
        assert client.get(path).status_code == 400

    def test_an_unknown_person_has_no_packages(self, client: Client) -> None:
        assert client.get("/p/plone/author?name=Nobody").status_code == 404


class TestState:
    def test_coverage_lag_and_runs_are_shown(self, get: Get, world: World) -> None:
        page = get("/status")
        assert texts(page, "#coverage ~ table tbody th") == ["Django", "Plone"]
        packages = str(len(world.members("Plone")))
        assert texts(page, "#coverage ~ table tbody tr:nth-child(2) td")[:2] == [packages, packages]
        assert "packages indexed of Plone" in texts(page, "#lag ~ table tbody th")
        assert "100 %" in texts(page, "#lag ~ table tbody td")
        spiders = texts(page, "#runs ~ table tbody td:nth-child(2)")
        assert spiders == ["pypistats", "github", "pypi"]

    def test_it_does_not_tell_where_the_data_are(self, get: Get, world: World) -> None:
        assert str(world.place.folder) not in get("/status")
