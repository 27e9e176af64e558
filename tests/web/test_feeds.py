"""Feeds: who follows a framework hears of each new package and release once, in any feed reader."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import feedparser  # type: ignore[import-untyped]
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.etree import fromstring

from pyf_scrapy.store import PackageFacts
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.atom import Entry, Subscription, atom, opml
from pyf_scrapy.web.news import ENTRIES
from tests.web.asking import Client
from tests.web.filling import Filled, released

DAY = 86_400
HOSTILE = "Now <b>bold</b> & \x1b[31mred\x07 \ufffe]]>"


@pytest.fixture(scope="module")
def served(served: Filled) -> Filled:
    served.publish(
        released("pyf-loud", "1.0", new=True),
        released("pyf-quiet", "1.0", new=True),
    )
    served.publish(
        released("pyf-loud", "4.0", summary=HOSTILE, keywords="a,b"),
        released("pyf-quiet", "2.0rc1", author="", author_email="Ada L <ada@example.org>"),
    )
    return served


async def get(served: Filled, path: str, **headers: str) -> httpx.Response:
    async with served.client() as client:
        return await client.get(f"/feeds/{path}", headers=headers)


async def read(served: Filled, path: str) -> Any:
    answer = await get(served, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = feedparser.parse(answer.content)
    assert not feed.bozo, feed.get("bozo_exception")
    assert feed.version == "atom10"
    return feed


async def test_new_releases_are_told_with_where_to_find_them(served: Filled) -> None:
    feed = await read(served, "plone/updated.atom")
    assert feed.feed.title == "Plone: new releases"
    assert feed.feed.links[0].href == "http://testserver/feeds/plone/updated.atom"
    loud, quiet = sorted(feed.entries[:2], key=lambda entry: str(entry.title))
    assert (loud.title, quiet.title) == ("pyf-loud 4.0", "pyf-quiet 2.0rc1")
    assert loud.link == f"{served.replica.url}/project/pyf-loud/4.0/"
    assert loud.summary == "Now <b>bold</b> & red ]]>"
    assert {tag.term for tag in loud.tags} == {"a", "b"}
    assert loud.id != quiet.id
    assert quiet.id.startswith("urn:uuid:")


async def test_what_the_first_crawl_brought_stands_where_its_upload_belongs(served: Filled) -> None:
    """Else the first feed is fifty packages of any age, in the order of their names."""
    new = await read(served, "plone/new.atom")
    names = [entry.title for entry in new.entries]
    assert set(names[:2]) == {"pyf-loud", "pyf-quiet"}
    assert len(names) == len(set(names)) >= 30
    assert all(entry.updated_parsed >= entry.published_parsed for entry in new.entries)
    for feed in (new, await read(served, "plone/updated.atom")):
        times = [entry.updated_parsed for entry in feed.entries]
        assert times == sorted(times, reverse=True)
        assert times[0] > times[-1]


async def test_a_profile_hears_nothing_of_others(served: Filled) -> None:
    django = set(served.replica.replica.members("Framework :: Django"))
    for kind in ("new", "updated"):
        entries = (await read(served, f"django/{kind}.atom")).entries
        assert {entry.link.split("/project/")[1].split("/")[0] for entry in entries} == django


async def test_an_entry_keeps_its_identity_and_the_feed_its_tag(served: Filled) -> None:
    first, again = await get(served, "plone/updated.atom"), await get(served, "plone/updated.atom")
    assert first.content == again.content
    known = await get(served, "plone/updated.atom", **{"if-none-match": first.headers["etag"]})
    assert known.status_code == 304


async def test_a_feed_is_the_same_whatever_it_is_called(served: Filled) -> None:
    """A reader that follows it at another address, later perhaps, shows nothing a second time."""
    anywhere = replace(served.site, web=replace(served.site.web, url=None))
    app, found = create_app(anywhere), []
    for host in ("http://localhost:8000", "http://127.0.0.1"):
        answer = await asyncio.to_thread(Client(app, base_url=host).get, "/feeds/plone/new.atom")
        feed = feedparser.parse(answer.content)
        assert feed.feed.links[0].href == f"{host}/feeds/plone/new.atom"
        found.append([feed.feed.id, *(entry.id for entry in feed.entries)])
    assert found[0] == found[1]
    other = await read(served, "plone/updated.atom")
    assert other.feed.id != found[0][0] == (await read(served, "plone/new.atom")).feed.id


async def test_a_feed_has_so_many_entries_and_no_more(served: Filled) -> None:
    """The newest, each once; a package of which many releases come at once is no exception."""
    with served.place.store() as store:
        known = store.load_package("pyf-any")
        assert known is not None
        files = dict(known.project.files or {})
        project = known.project
        for number in range(ENTRIES + 10):
            files[f"0.{number}"] = files[project.version]
        more = msgspec.structs.replace(project, files=files)
        store.save_packages([PackageFacts(more, known.serial + 1, {}, at=int(time.time()))])
    feed = await read(served, "plone/updated.atom")
    assert len(feed.entries) == ENTRIES == len({entry.id for entry in feed.entries})


async def test_opml_names_the_feed_of_each_package(served: Filled) -> None:
    answer = await get(served, "plone/releases.opml")
    assert answer.headers["content-disposition"] == 'attachment; filename="plone.opml"'
    outlines = fromstring(answer.content).findall("body/outline")
    members = served.replica.replica.members("Framework :: Plone")
    pypi = served.replica.url
    assert [one.get("xmlUrl") for one in outlines] == [
        f"{pypi}/rss/project/{name}/releases.xml" for name in sorted(members)
    ]
    assert {one.get("type") for one in outlines} == {"rss"}
    first = feedparser.parse(httpx.get(outlines[0].get("xmlUrl") or "").content)
    assert first.entries


@pytest.mark.parametrize("path", ["nonesuch/new.atom", "nonesuch/releases.opml"])
async def test_an_unknown_profile_is_a_404(served: Filled, path: str) -> None:
    assert (await get(served, path)).status_code == 404


def test_a_feed_without_entries_is_valid() -> None:
    feed = feedparser.parse(atom("t", "key", "http://a/feed", "http://a/", [], since=0))
    assert (feed.bozo, feed.entries, feed.feed.updated) == (False, [], "1970-01-01T00:00:00Z")


any_text = st.text(st.characters(), max_size=40)


@given(any_text, any_text, any_text, st.lists(any_text, max_size=3))
def test_whatever_strangers_write_the_xml_is_well_formed(a: str, b: str, c: str, some: list[str]) -> None:
    entry = Entry("key", a, "https://pypi.example/a/", 1, 2, b, c, tuple(some))
    feed = fromstring(atom(a, "key", "http://a/feed", "http://a/", [entry], since=0))
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 1
    listed = fromstring(opml(a, [Subscription(b, "http://a/rss", "http://a/", c)]))
    assert len(listed.findall("body/outline")) == 1
