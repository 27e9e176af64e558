"""The pages in a real browser: if these fail, somebody cannot use the site, or a package's author can."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from pyf_scrapy.web.site import Site
from tests.web.world import EVIL_NAME, World, running

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.xdist_group("web"),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed (Debian's package chromium)"),
]

#: A browser that asks nobody but us, also where it is started by root.
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE = {"width": 390, "height": 844}

Open = Callable[..., Page]


# Not for longer than this file: as long as Playwright runs, no test can have an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    with running(site) as address:
        yield address


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Open a path of the site; at the end nothing was loaded from elsewhere, blocked or broken."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_path(path: str, **options: Any) -> Page:
        context = browser.new_context(**({"color_scheme": "light"} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on(
            "request",
            lambda request: troubles.append(request.url) if not request.url.startswith(address) else None,
        )
        page.goto(f"{address}{path}")
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture(scope="module")
def package(world: World) -> dict[str, Any]:
    """A well-known package: with a repository, downloads and something to improve."""
    documents = world.place.documents("plone").values()
    fit = [
        d
        for d in documents
        if d["is_latest"]
        and d["name_normalized"] != EVIL_NAME
        and "github_stars" in d
        and "download_last_month" in d
        and d["health_score_breakdown"]["remedies"]
    ]
    return max(fit, key=lambda d: (d["health_score"], d["name"]))


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))


class TestSearching:
    def test_packages_are_found_while_typing_and_the_address_follows(
        self, open_page: Open, package: dict[str, Any]
    ) -> None:
        page = open_page("/p/plone/")
        word = package["name_normalized"].rpartition("-")[2]
        page.get_by_role("searchbox").press_sequentially(word[:3] + word[4:])
        page.wait_for_url(f"**/p/plone/?q={word[:3] + word[4:]}")  # each pause in the typing is a search
        first = page.locator("a.open").first
        expect(first).to_have_text(package["name"])
        expect(page.get_by_role("status")).to_contain_text("found")
        page.reload()
        expect(first).to_have_text(package["name"])

    def test_facets_sorts_and_pages_work_together(self, open_page: Open) -> None:
        page = open_page("/p/plone/")
        page.get_by_role("combobox").select_option("stars")
        page.wait_for_url("**/?sort=stars")
        choice = page.locator(".choices a").first
        name = choice.inner_text().split("\n")[0]
        choice.click()
        expect(page.locator(".choices a[aria-current]")).to_contain_text(name)
        assert "framework=" in page.url
        assert "sort=stars" in page.url
        page.get_by_role("link", name="Remove all choices").click()
        expect(page.locator(".chosen")).to_have_count(0)
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".pager")).to_contain_text("page 2 of 3")

    def test_a_package_is_opened_by_keyboard_alone(self, open_page: Open) -> None:
        page = open_page("/p/plone/")
        page.keyboard.press("/")
        assert focused(page) == "q"
        page.keyboard.press("ArrowDown")
        links = [link.get_attribute("href") for link in page.locator("a.open").all()]
        assert focused(page) == links[0]
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("k")
        assert focused(page) == links[1]
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{links[1]}")
        page.keyboard.press("/")
        page.wait_for_url("**/p/plone/")

    def test_the_first_stop_of_the_tab_key_skips_the_head(self, open_page: Open) -> None:
        page = open_page("/p/plone/")
        page.keyboard.press("Tab")
        assert focused(page) == "#content"
        page.keyboard.press("Enter")
        assert focused(page) == "content"

    def test_the_profile_is_switched(self, open_page: Open) -> None:
        page = open_page("/p/plone/?q=form")
        page.get_by_role("link", name="Django", exact=True).click()
        page.wait_for_url("**/p/django/?q=form")
        expect(page.get_by_role("searchbox")).to_have_value("form")


class TestLook:
    def test_dark_follows_the_system_and_the_switch_is_kept_without_a_cookie(self, open_page: Open) -> None:
        dark = open_page("/p/plone/", color_scheme="dark")
        light = open_page("/p/plone/")
        assert background(dark) != background(light)
        dark_colour = background(dark)
        light.get_by_role("button", name="Dark").click()
        assert background(light) == dark_colour
        light.goto(light.url)
        assert background(light) == dark_colour
        assert light.context.cookies() == []
        light.get_by_role("button", name="Light").click()
        assert background(light) != dark_colour

    @pytest.mark.parametrize(
        "path", ["/p/plone/", f"/p/plone/packages/{EVIL_NAME}", "/status", "/p/plone/keywords"]
    )
    def test_nothing_is_wider_than_a_phone(self, open_page: Open, path: str) -> None:
        page = open_page(path, viewport=PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    def test_no_word_of_ours_is_broken_on_a_phone(self, open_page: Open, package: dict[str, Any]) -> None:
        """As "documentatio-n" and "minu-tes" were: a text has then more lines than words."""
        for path, words in (
            (f"/p/plone/packages/{package['name_normalized']}", ".axes span:first-child, .axes .n, td.date"),
            ("/status", "td.short, .date"),
        ):
            page = open_page(path, viewport=PHONE)
            broken = page.locator(words).evaluate_all(
                """all => all.filter(each => {
                    const words = each.innerText.trim().split(/\\s+/).length;
                    const range = document.createRange();
                    range.selectNodeContents(each);
                    const lines = new Set([...range.getClientRects()].map(rect => Math.round(rect.top)));
                    return lines.size > words;
                }).map(each => each.innerText)"""
            )
            assert broken == []
            assert page.locator(words).count() > 3

    def test_on_a_phone_the_packages_come_before_the_choices(self, open_page: Open) -> None:
        page = open_page("/p/plone/", viewport=PHONE)
        expect(page.locator(".choices").first).to_be_hidden()
        assert page.locator("a.open").first.bounding_box()["y"] < PHONE["height"]  # type: ignore[index]
        page.get_by_text("Narrow down").click()
        expect(page.locator(".choices").first).to_be_visible()


class TestWithoutScript:
    def test_everything_can_be_searched_chosen_and_opened(
        self, open_page: Open, package: dict[str, Any]
    ) -> None:
        page = open_page("/p/plone/?framework=Plone+6.0", java_script_enabled=False)
        page.get_by_role("searchbox").fill("form")
        page.get_by_role("combobox").select_option("health")
        page.get_by_role("button", name="Search").click()
        assert "q=form" in page.url
        assert "sort=health" in page.url
        assert "framework=Plone+6.0" in page.url
        expect(page.get_by_role("button", name="Dark")).to_have_count(0)
        page.locator("a.open").first.click()
        assert "/packages/" in page.url
        page.get_by_text("Point by point").click()
        expect(page.get_by_role("rowheader", name="score")).to_be_visible()


class TestHostile:
    @pytest.mark.parametrize(
        "path",
        [
            "/p/plone/?q=hostile",
            f"/p/plone/packages/{EVIL_NAME}",
            "/p/plone/keywords",
            "/p/plone/?q=%22%3E%3Cscript%3Edocument.title%3D1%3C/script%3E",
        ],
    )
    def test_readme_and_metadata_on_screen_do_nothing(self, open_page: Open, path: str) -> None:
        """That nothing was even blocked, the end of `open_page` says."""
        page = open_page(path)
        page.wait_for_load_state("networkidle")
        assert page.title() not in ("hostile", "1", "2")
        if EVIL_NAME in path:
            expect(page.get_by_text("The end of the README.")).to_be_visible()
            assert page.locator(".readme img, .readme script, .readme iframe, .readme style").count() == 0

    def test_it_does_nothing_while_somebody_types_either(self, open_page: Open) -> None:
        page = open_page("/p/plone/")
        page.get_by_role("searchbox").fill("hostile")
        expect(page.locator(f"a.open[href$={EVIL_NAME}]")).to_be_visible()
        assert page.title() not in ("hostile", "1", "2")


class TestAccessibility:
    @pytest.mark.parametrize("what", ["search", "package", "hostile", "author", "keywords", "status"])
    def test_axe_finds_nothing(self, open_page: Open, package: dict[str, Any], what: str) -> None:
        path = {
            "search": "/p/plone/?q=form&framework=Plone+6.0",
            "package": f"/p/plone/packages/{package['name_normalized']}",
            "hostile": f"/p/plone/packages/{EVIL_NAME}",
            "author": f"/p/plone/author?name={package['author']}",
            "keywords": "/p/plone/keywords",
            "status": "/status",
        }[what]
        page = open_page(path, reduced_motion="reduce")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        page.get_by_role("button", name="Dark").click()
        results = Axe().run(page, options={"runOnly": ["color-contrast"]})
        assert results.violations_count == 0, results.generate_report()
