"""`scrapy serve` as a user starts it: without these the site does not come up, or to the wrong people."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import PyfError, SearchError, UsageProblem
from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.search.keys import delete_key, list_keys
from pyf_scrapy.web.asked import Asked
from pyf_scrapy.web.catalogue import Packages
from pyf_scrapy.web.drawing import badge, band, bars, health_badge
from pyf_scrapy.web.packages import dependency
from pyf_scrapy.web.serving import serve
from pyf_scrapy.web.site import Site, opened_site
from pyf_scrapy.web.templating import counted, cut, duration, parts
from tests.commands.world import run_in
from tests.conftest import kill_server
from tests.web.asking import Client
from tests.web.world import World


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this machine that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


class TestCommand:
    def test_it_serves_this_machine_alone_until_it_is_told_to_end(self, world: World) -> None:
        with world.place.popen("serve", "-p", "plone", "--port", "0") as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving plone at http://127.0.0.1:")
            url = line.split()[-1]
            answer = httpx.get(url, follow_redirects=True)
            assert answer.status_code == 200
            assert "server" not in answer.headers
            assert httpx.get(f"{url}p/django/").status_code == 404
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")

    def test_before_the_first_crawl_it_says_what_to_do(
        self, tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_in(world.place, "serve", PYF_DATA_DIR=tmp_path / "nothing") == 2
        assert "scrapy crawl pypi -a profile=PROFILE" in capsys.readouterr().err
        assert not (tmp_path / "nothing").exists()

    @pytest.mark.parametrize(
        "arguments", [["--json"], ["now"], ["--port", "x"], ["--port", "65536"], ["-p", "nothing"]]
    )
    def test_what_it_does_not_know_is_refused(
        self, world: World, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert run_in(world.place, "serve", *arguments) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert len(said) < 300, "it lists all that would be right, each port"

    def test_a_profile_that_was_not_crawled_is_named_with_its_crawl(self, world: World) -> None:
        with (
            pytest.raises(SearchError, match="scrapy crawl pypi -a profile=flask"),
            opened_site(world.settings, load_profiles(), ("flask",)),
        ):
            pass

    def test_ctrl_c_ends_it_without_an_error(self, site: Site) -> None:
        seen: list[int] = []

        def visit(line: str) -> None:
            def ask() -> None:
                seen.append(httpx.get(f"{line.split()[-1]}status").status_code)
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=ask).start()

        before = signal.getsignal(signal.SIGINT)
        serve(site, "127.0.0.1", 0, said=visit)
        assert seen == [200]
        assert signal.getsignal(signal.SIGINT) is before

    def test_a_port_that_is_taken_is_named(self, site: Site, taken: int) -> None:
        said: list[str] = []
        with pytest.raises(PyfError, match=f"port {taken}"):
            serve(site, "127.0.0.1", taken, said=said.append)
        assert said == []


class TestSearchServer:
    def test_one_that_was_killed_is_started_again_by_the_next_page(
        self, world: World, client: Client
    ) -> None:
        kill_server(world.place.folder / "typesense")
        assert client.get("/p/plone/").status_code == 200
        for _ in range(100):  # on a busy machine it may still be reading its log
            if "46 packages" in client.get("/p/plone/results").text:
                return
            time.sleep(0.1)
        pytest.fail("it has not all packages")

    def test_a_key_that_was_deleted_is_made_again_by_the_next_page(
        self, world: World, client: Client, site: Site
    ) -> None:
        own = str(site.search(lambda client: client.config.api_key))
        with world.place.connection() as connection:
            (key,) = (key for key in list_keys(connection.client) if own.startswith(key.prefix))
            delete_key(connection.client, key)
        assert client.get("/p/plone/").status_code == 200


class TestSmallParts:
    def test_a_badge_is_well_formed_whatever_it_says(self) -> None:
        import lxml.etree

        for score in (None, 0, 40, 60, 80, 100):
            lxml.etree.fromstring(health_badge(score))
        assert "<script>" not in badge("<script>", "<script>", "#000")

    def test_bands_meet_without_a_gap(self) -> None:
        assert [band(score) for score in (None, 0, 39, 40, 59, 60, 79, 80, 100)] == [
            "unknown",
            *["poor"] * 2,
            *["weak"] * 2,
            *["fair"] * 2,
            *["good"] * 2,
        ]

    def test_bars_are_in_proportion_to_the_longest(self) -> None:
        assert bars([]) == []
        assert [bar.length for bar in bars([("a", 0), ("b", 0)])] == [0, 0]
        assert [(bar.text, bar.length) for bar in bars([("a", 5.5), ("b", 1100)])] == [
            ("5.5", 0.5),
            ("1,100", 100),
        ]

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (86_400, "1 day"),
            (200_000, "2 days"),
        ],
    )
    def test_times_are_said_as_people_say_them(self, seconds: int, said: str) -> None:
        assert duration(seconds) == said

    def test_one_thing_is_not_several(self) -> None:
        assert [counted(1, "star"), counted(1_200, "star")] == ["1 star", "1,200 stars"]
        assert counted(0, "known vulnerability", "known vulnerabilities") == "0 known vulnerabilities"

    def test_names_are_broken_behind_their_separators_only(self) -> None:
        assert parts("collective.easy_form--x-") == ["collective.", "easy_", "form--", "x-"]

    def test_long_texts_are_cut(self) -> None:
        assert cut("abc", 3) == "abc"
        assert cut("abcd", 3) == "ab…"

    @pytest.mark.parametrize(
        ("text", "extra"),
        [
            ("plone.api>=2", ""),
            ("pytest; extra == 'test'", "test"),
            ("pytest; python_version < '3' and extra == \"test\"", "test"),
            ("typing; python_version < '3'", ""),
        ],
    )
    def test_a_requirement_belongs_to_its_extra(self, text: str, extra: str) -> None:
        assert dependency(text, Packages({})).extra == extra

    def test_what_is_no_requirement_is_shown_as_it_is(self) -> None:
        shown = dependency("<script>", Packages({}))
        assert (shown.name, shown.normalized_name, shown.is_known) == ("<script>", "", False)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["q", "sort", "page", "framework", "topic", "health", "x"]),
                st.text(max_size=30),
            )
        )
    )
    def test_any_address_is_read_or_refused_and_reading_it_again_changes_nothing(
        self, pairs: list[Any]
    ) -> None:
        try:
            asked = Asked.from_parameters(pairs)
        except UsageProblem:
            return
        again = [("q", asked.words), *asked.pairs, ("sort", asked.sort), ("page", str(asked.page))]
        assert Asked.from_parameters(again) == asked
