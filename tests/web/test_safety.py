"""What strangers write and ask: if these fail, a package's author or a visitor takes the site over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lxml.html
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyf_scrapy.exceptions import LimitError, SearchError, StoreError, UsageProblem
from pyf_scrapy.search.keys import list_keys
from pyf_scrapy.search.queries import search
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.quoting import is_value
from pyf_scrapy.web.readme import shown
from pyf_scrapy.web.security import CONTENT_SECURITY_POLICY, MAX_TARGET, RateLimit, Slots, WebSettings
from pyf_scrapy.web.site import Site
from tests.web.asking import Client
from tests.web.world import EVIL, EVIL_NAME, World

Get = Callable[..., str]

PAGES = (
    "/p/plone/",
    "/p/plone/results?q=hostile",
    f"/p/plone/packages/{EVIL_NAME}",
    "/p/plone/keywords",
    "/status",
    "/nothing",
    "/p/plone/?page=0",
    "/static/x/site.css",
    "/openapi.json",
)


def plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


class TestHeaders:
    @pytest.mark.parametrize("path", PAGES)
    def test_every_answer_forbids_what_the_pages_do_not_need(self, client: Client, path: str) -> None:
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers

    @pytest.mark.parametrize("path", PAGES)
    def test_pages_obey_their_own_policy(self, client: Client, path: str) -> None:
        """No script, style or handler in a page itself, and nothing of another host in it."""
        answer = client.get(path, headers={"accept": "text/html"})
        if "html" not in answer.headers["content-type"]:
            return
        for element in lxml.html.document_fromstring(answer.text).iter():
            assert element.tag != "style"
            assert not (element.tag == "script" and (element.text or not element.get("src")))
            for name, value in element.attrib.items():
                assert name != "style"
                assert not name.startswith("on")
                if name in ("src", "action") or (name == "href" and element.tag == "link"):
                    assert value.startswith("/")

    def test_an_error_of_the_program_has_them_too_and_says_nothing_of_it(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = create_app(site)

        @app.get("/broken")
        def broken() -> None:
            raise RuntimeError("a secret of the machine")

        with caplog.at_level(logging.ERROR):
            answer = Client(app).get("/broken", headers={"accept": "text/html"})
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert "a secret of the machine" in caplog.text


class TestHostileMetadata:
    @pytest.mark.parametrize(
        "path",
        [
            "/p/plone/",
            "/p/plone/?q=hostile",
            f"/p/plone/packages/{EVIL_NAME}",
            "/p/plone/keywords",
            "/p/plone/?framework=%3Cscript%3E&topic=%22%3E%3Cscript%3E&q=%22%3E%3Cscript%3E",
        ],
    )
    def test_it_is_text_wherever_it_stands(self, get: Get, path: str) -> None:
        page = get(path)
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "49" not in page or "7*7" in page

    def test_all_of_it_is_shown_on_the_page_of_the_package(self, get: Get) -> None:
        page = lxml.html.document_fromstring(get(f"/p/plone/packages/{EVIL_NAME}"))
        assert EVIL in page.text_content()
        assert "The end of the README." in page.text_content()

    def test_every_address_is_http_or_https(self, get: Get) -> None:
        page = lxml.html.document_fromstring(get(f"/p/plone/packages/{EVIL_NAME}"))
        addresses = [a.get("href") for a in page.cssselect("a[href]")]
        assert "https://good.example/" in addresses
        assert all(address.startswith(("http://", "https://", "/", "#")) for address in addresses)

    def test_lists_by_it_find_it(self, get: Get) -> None:
        """Its quotes, backticks and brackets do not leave the filter."""
        for kind in ("author", "maintainer", "keyword"):
            assert EVIL_NAME in get(f"/p/plone/{kind}", name=EVIL)


class TestReadme:
    def test_images_become_links_so_that_nobody_learns_who_reads(self) -> None:
        html = shown('<p><img src="https://x.example/a.png" alt="build"> and more</p>')
        assert (
            html == '<div><p><a href="https://x.example/a.png" rel="nofollow">[build]</a> and more</p></div>'
        )
        linked = shown('<a href="https://x.example/"><img src="https://x.example/a.png"></a>')
        assert linked == ('<div><a href="https://x.example/" rel="nofollow"><span>[image]</span></a></div>')

    def test_headings_follow_those_of_the_page_one_level_at_a_time(self) -> None:
        html = shown("<h2>a</h2><h5>b</h5><h6>c</h6><h2></h2><h1>d</h1>")
        assert html == "<div><h3>a</h3><h4>b</h4><h5>c</h5><span></span><h3>d</h3></div>"

    def test_it_imitates_no_part_of_the_page(self) -> None:
        assert shown("<main>a</main><nav>b</nav><a href='https://x.example/'> </a>") == (
            "<div><div>a</div><div>b</div><span> </span></div>"
        )

    def test_very_many_that_are_empty_hold_up_nobody(self) -> None:
        """It took 11 seconds, in which all other visitors waited."""
        assert shown("<h1></h1>x" * 50_000) == f"<div>{'<span></span>x' * 50_000}</div>"
        assert shown('<a href="//x"></a>x' * 20_000) == f"<div>{'<span></span>x' * 20_000}</div>"

    def test_it_is_made_once_for_all_who_read_it_and_only_some_are_kept(self) -> None:
        """A nasty one takes a second of CPU, of which there are two."""
        html = "<p>much</p>" * 1_000
        assert shown(html) is shown(html)
        for number in range(100):
            shown(f"<p>{number}</p>")
        assert shown.cache_info().currsize < 50

    def test_an_empty_heading_of_a_table_is_a_cell(self) -> None:
        assert "<td></td>" in shown("<table><tr><th></th><th>a</th></tr></table>")

    def test_what_is_nested_deeply_is_there_to_its_end(self) -> None:
        """lxml would stop at the 256th level, and all that follows would be lost."""
        deep = f"{'<blockquote>' * 300}<p>a <b>deep</b> word</p>{'</blockquote>' * 300}<h2>The end</h2>"
        html = shown(f"<p>first</p>{deep}")
        assert html.startswith("<div><p>first</p>")
        assert "a deep word" in html
        assert html.endswith("<h3>The end</h3></div>")
        assert len(shown("<h1>" * 100_000)) < 100_000, "and nobody waits for one that is nothing but tags"

    def test_what_no_tree_can_name_is_left_out(self) -> None:
        assert shown("<a'b>one</a'b> <p x'y=1>two</p>") == "<div>one <p>two</p></div>"

    def test_nothing_is_nothing(self) -> None:
        assert shown(" ") == ""

    @given(st.text(alphabet="<>/\"'=&; ascript:onerrimgvh1234567\x00\x01\n", max_size=200))
    def test_whatever_it_is_made_of_it_holds_nothing_that_runs(self, html: str) -> None:
        tree = lxml.html.fragment_fromstring(shown(html) or "-", create_parent="div")
        for element in tree.iter():
            assert element.tag not in ("script", "img", "iframe", "style", "form", "svg", "object")
            assert not any(name.startswith("on") or name == "style" for name in element.attrib)


class TestQueries:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.one_of(
            st.text(min_size=1, max_size=60), st.text(alphabet="`\\|&:=[](),!<> a1", min_size=1, max_size=30)
        )
    )
    def test_no_text_gets_out_of_its_quotes(self, site: Site, value: str) -> None:
        """It neither breaks the filter nor finds what it does not name."""
        condition = is_value("framework_versions", value)
        found = site.search(lambda client: search(client, "plone", "", filter_by=condition, facet_by=()))
        for row in found.rows:
            assert plain(value) in map(plain, row["framework_versions"])

    @settings(max_examples=25)
    @given(query=st.text(max_size=80), topic=st.text(max_size=40), page=st.text(max_size=4))
    def test_whatever_is_asked_the_answer_is_a_page(
        self, client: Client, query: str, topic: str, page: str
    ) -> None:
        parameters = {"q": query, "topic": topic, "page": page}
        answer = client.get("/p/plone/", params=parameters, headers={"accept": "text/html"})
        assert answer.status_code in (200, 400), answer.text

    def test_the_server_is_asked_with_a_key_that_can_only_search(self, site: Site, world: World) -> None:
        own = site.search(lambda client: client.config.api_key)
        with world.place.connection() as connection:
            keys = [key for key in list_keys(connection.client) if str(own).startswith(key.prefix)]
            assert own != connection.client.config.api_key
        assert [key.is_search_only for key in keys] == [True]
        assert keys[0].searches("plone")
        assert not keys[0].searches("something-else")

    def test_a_second_start_makes_no_second_key(self, site: Site, world: World) -> None:
        from pyf_scrapy.profiles import load_profiles
        from pyf_scrapy.web.site import opened_site

        first = site.search(lambda client: client.config.api_key)
        with opened_site(world.settings, load_profiles()) as second:
            assert second.search(lambda client: client.config.api_key) == first

    def test_no_page_holds_a_key(self, client: Client, site: Site, world: World) -> None:
        own = str(site.search(lambda client: client.config.api_key))
        with world.place.connection() as connection:
            admin = str(connection.client.config.api_key)
        for path in PAGES:
            text = client.get(path).text
            assert own not in text
            assert admin not in text

    def test_the_store_can_only_be_read(self, site: Site) -> None:
        with pytest.raises(StoreError, match="read only"):
            site.store.remember("x", 1)


class TestLimits:
    def test_a_host_that_is_not_ours_is_refused(self, site: Site) -> None:
        """A stranger's page whose name leads here would else read the site through its visitor."""
        app = create_app(site)
        assert Client(app, base_url="http://evil.example").get("/status").status_code == 400
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert Client(app, base_url=f"http://{host}").get("/status").status_code == 200

    def test_the_host_of_serve_url_is_answered(self, site: Site) -> None:
        for url, host in (
            ("https://index.example", "index.example"),
            ("https://[2001:db8::1]/", "[2001:db8::1]:80"),
        ):
            public = create_app(replace(site, web=replace(site.web, url=url)))
            assert Client(public, base_url=f"http://{host}").get("/static/x/site.css").status_code == 200

    def test_a_client_that_asks_too_often_waits_and_others_do_not(self, site: Site) -> None:
        app = create_app(replace(site, web=replace(site.web, rate=0.4)))
        first, second = Client(app), Client(app, address="192.0.2.1")
        assert [first.get("/static/x/site.css").status_code for _ in range(3)] == [200, 200, 429]
        assert int(first.get("/static/x/site.css").headers["retry-after"]) >= 1
        assert second.get("/static/x/site.css").status_code == 200

    def test_tokens_come_back_with_time(self) -> None:
        now = 0.0
        limit = RateLimit(2, clock=lambda: now)
        assert [limit.wait("a") for _ in range(11)] == [0] * 10 + [0.5]
        now = 1.0
        assert [limit.wait("a") for _ in range(3)] == [0, 0, 0.5]

    def test_a_network_of_ipv6_is_one_client(self) -> None:
        limit = RateLimit(0.2, clock=lambda: 0.0)
        assert limit.wait("2001:db8::1") == 0
        assert limit.wait("2001:db8::2") > 0
        assert limit.wait("2001:db8:0:1::1") == 0
        assert limit.wait("::ffff:192.0.2.1") == 0
        assert limit.wait("192.0.2.1") > 0
        assert limit.wait("a socket") == 0

    def test_very_many_clients_need_no_more_memory(self) -> None:
        limit = RateLimit(0.2, clock=lambda: 0.0)
        limit.wait("first")
        for number in range(10_001):
            limit.wait(str(number))
        assert limit.wait("first") == 0, "it was forgotten"

    def test_a_long_address_is_refused(self, client: Client) -> None:
        assert client.get(f"/p/plone/?x={'y' * MAX_TARGET}").status_code == 414

    def test_as_many_streams_run_as_are_allowed(self) -> None:
        slots = Slots(1)
        with slots.taken(), pytest.raises(LimitError), slots.taken():
            pass
        with slots.taken():
            pass
        with pytest.raises(LimitError), Slots(0).taken():
            pass

    def test_settings_are_read(self) -> None:
        given_settings: dict[str, Any] = {
            "SERVE_URL": None,
            "SERVE_PROXIES": "10.0.0.1, 10.0.0.2",
            "SERVE_RATE": 5.0,
            "SERVE_STREAMS": 2,
        }
        read = WebSettings.from_settings(given_settings)
        assert read == WebSettings(None, ("10.0.0.1", "10.0.0.2"), 5.0, 2)

    def test_an_address_with_a_path_is_refused(self) -> None:
        given_settings = {"SERVE_URL": "https://index.example/index", "SERVE_RATE": 5.0, "SERVE_STREAMS": 2}
        with pytest.raises(UsageProblem, match="without a path"):
            WebSettings.from_settings(given_settings)

    def test_only_proxies_that_are_named_are_believed(self, site: Site) -> None:
        from pyf_scrapy.web.serving import configuration

        assert not configuration(site, "127.0.0.1").proxy_headers
        named = configuration(replace(site, web=replace(site.web, proxies=("10.0.0.1",))), "127.0.0.1")
        assert named.proxy_headers
        assert named.forwarded_allow_ips == ["10.0.0.1"]


class TestErrors:
    def test_a_program_gets_a_problem_a_person_a_page(self, client: Client) -> None:
        problem = client.get("/p/nothing/")
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["status"] == problem.status_code == 404
        assert "there is: plone, django" in problem.json()["detail"]
        page = client.get("/p/nothing/", headers={"accept": "text/html"})
        assert page.status_code == 404
        assert "there is: plone, django" in page.text

    @pytest.mark.parametrize("path", ["/nothing", "/p/plone/nothing", "/static/x/nothing.css"])
    def test_what_is_not_there_is_a_404(self, client: Client, path: str) -> None:
        assert client.get(path).status_code == 404

    def test_a_parameter_of_the_wrong_kind_is_one_line(self, site: Site) -> None:
        app = create_app(site)

        @app.get("/numbers")
        def numbers(limit: int) -> int:
            return limit

        @app.get("/streams")
        def streams() -> None:
            with Slots(0).taken():
                pass

        assert Client(app).get("/numbers?limit=x").status_code == 400
        assert Client(app).get("/numbers?limit=x").json()["detail"].startswith("limit: ")
        assert Client(app).get("/streams").headers["retry-after"] == "60"

    @pytest.mark.parametrize("path", ["/", "/p/plone/", "/status", "/static/x/site.css"])
    def test_whether_it_lives_can_be_asked_without_the_page(self, client: Client, path: str) -> None:
        assert client.request("HEAD", path).status_code in (200, 307)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_nothing_can_be_sent_to_it(self, client: Client, method: str) -> None:
        answer = client.request(method, "/p/plone/")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.json()["detail"].endswith("possible is GET, HEAD")

    def test_a_search_server_that_is_gone_is_no_traceback(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Gone:
            def __call__(self, operation: object) -> None:
                raise SearchError("Typesense at http://10.1.2.3 cannot be reached")

        broken = replace(site, search=Gone())  # type: ignore[arg-type]
        with caplog.at_level(logging.ERROR):
            answer = Client(create_app(broken)).get("/p/plone/", headers={"accept": "text/html"})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "10"
        assert "10.1.2.3" not in answer.text
        assert "10.1.2.3" in caplog.text

    def test_what_is_meant_for_the_operator_is_told_to_nobody_else(
        self, site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A wrong setting is one line with its remedy, which may name paths, hosts and settings."""
        app, line = create_app(site), "TYPESENSE_PORT of /srv/secret/.env: give a number"

        @app.get("/broken")
        def broken() -> None:
            raise UsageProblem(line)

        def look(*_: object, **__: object) -> None:
            raise UsageProblem(line)

        monkeypatch.setattr("pyf_scrapy.web.state.overview", look)
        for path, status in (("/broken", 400), ("/status", 503), ("/api/v1/status", 503)):
            caplog.clear()
            with caplog.at_level(logging.ERROR):
                answer = Client(app).get(path)
            assert (answer.status_code, line in caplog.text) == (status, True)
            assert "secret" not in answer.text
        told = Client(app).get("/p/plone/?sort=nonsense").json()["detail"]
        assert told.startswith("sort='nonsense': use relevance"), "what a visitor can mend is told"

    def test_a_static_file_is_kept_as_long_as_it_is_the_same(self, client: Client, get: Get) -> None:
        page = lxml.html.document_fromstring(get("/p/plone/"))
        style = next(link.get("href") for link in page.iter("link") if link.get("rel") == "stylesheet")
        assert "immutable" in client.get(style).headers["cache-control"]
        assert client.get("/static/old/site.css").headers["cache-control"] == "no-cache"
        assert client.get("/static/old/..%2f..%2fsite.py").status_code == 404
