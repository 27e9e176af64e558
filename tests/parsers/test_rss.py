"""PyPI's feeds: one that is misread costs minutes of freshness, one taken for empty hides that it is dead.

Every folder of data/rss/ is a case: input.xml gives output.json or exception.json.
"""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import rss, wire
from pyf_scrapy.parsers.rss import FeedEntry, parse_feed

DATA = Path(__file__).parent / "data" / "rss"
CASES = sorted(path.parent.name for path in DATA.glob("*/input.xml"))
INPUTS = [(DATA / case / "input.xml").read_bytes() for case in CASES]
UPDATES = (DATA / "updates" / "input.xml").read_bytes()

#: In POSIX form, so that no database of time zones is needed: west and east of Greenwich, with summer time.
ZONES = {
    "UTC0": 0,
    "CET-1CEST,M3.5.0,M10.5.0/3": -3600,
    "EST5EDT,M3.2.0,M11.1.0": 18_000,
    "JST-9": -32_400,
}


class Failure(msgspec.Struct):
    what: str
    reason: str


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The local time zone of the process."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        assert time.timezone == ZONES[request.param]
        yield request.param
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    """In every time zone: the feeds of pyf.aggregator lost what was published within the offset (W2c)."""
    folder = DATA / case
    body = (folder / "input.xml").read_bytes()
    exception = folder / "exception.json"
    if exception.exists():
        expected = msgspec.json.decode(exception.read_bytes(), type=Failure)
        with pytest.raises(ParseError) as caught:
            parse_feed(body)
        assert caught.value.what == expected.what
        assert expected.reason in caught.value.reason
        assert "\n" not in str(caught.value)
    else:
        expected_entries = msgspec.json.decode((folder / "output.json").read_bytes(), type=list[FeedEntry])
        assert parse_feed(body) == expected_entries


@pytest.mark.usefixtures("zone")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4_102_444_799), st.integers(-1439, 1439))
@example(1_774_751_400, 0)  # 02:30 on the 29th of March 2026, an hour that Berlin does not have
def test_any_moment_is_told_exactly(seconds: int, offset: int) -> None:
    """Also in the hours that summer time leaves out or repeats."""
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=offset)))
    (entry,) = parse_feed(feed("/project/kelp/1.0/", format_datetime(moment)))
    assert entry.published == seconds


def feed(link: str, date: str = "Sun, 22 Nov 2026 10:00:00 GMT", more: str = "") -> bytes:
    item = f"<item><link>{link}</link>{more}<pubDate>{date}</pubDate></item>"
    return f'<rss version="2.0"><channel><link>/</link>{item}</channel></rss>'.encode()


def check(body: bytes) -> list[FeedEntry]:
    """Nothing but ParseError is raised; whatever is returned can be stored, logged and put into a URL."""
    try:
        entries = parse_feed(body)
    except ParseError:
        return []
    for entry in entries:
        assert wire.is_name(entry.normalized_name)
        assert canonicalize_name(entry.normalized_name) == entry.normalized_name
        assert entry.version is None or (entry.version.isprintable() and "/" not in entry.version)
        assert entry.published is None or 0 <= entry.published < 4_102_444_800
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entries), type=list[FeedEntry]) == entries
    return entries


PIECES = re.compile(rb"<[^>]*>|[^<]+")
TOKENS = sorted({piece for body in INPUTS for piece in PIECES.findall(body) if len(piece) < 200})
NOISE = st.binary(max_size=6) | st.sampled_from(
    [
        b"&",
        b"&#xD800;",
        b"&#x110000;",
        b"&a;",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"<",
        b"</",
        b"\0",
        b"\xff",
        b"%00",
    ]
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A feed with tags and texts exchanged, doubled or left out, and with broken bytes."""
    pieces = PIECES.findall(draw(st.sampled_from(INPUTS))) or [b""]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(pieces) - 1))
        pieces[at : at + draw(st.integers(0, 2))] = draw(
            st.lists(st.sampled_from(TOKENS) | NOISE, max_size=3)
        )
        pieces = pieces or [b""]
    body = b"".join(pieces)
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(NOISE) + body[start + draw(st.integers(0, 20)) :]


@settings(max_examples=300)
@given(mutations())
def test_mutated_feeds(body: bytes) -> None:
    check(body)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.lists(st.sampled_from(TOKENS) | NOISE, max_size=12).map(b"".join))
def test_random_bytes(body: bytes) -> None:
    check(body)
    check(b"<rss><channel>" + body)


@settings(max_examples=200)
@given(st.text(max_size=30), st.text(max_size=40))
def test_any_text_of_link_and_date(path: str, date: str) -> None:
    check(feed(f"https://pypi.org/project/kelp{path}", date))
    check(feed(path, date))


def test_every_cut_of_a_feed_gives_entries_of_the_whole() -> None:
    """A connection that breaks must not make up a version, or "kelp 1.0" would be asked for as "kelp 1."."""
    whole = {(entry.normalized_name, entry.version): entry for entry in parse_feed(UPDATES)}
    counts = set()
    for end in range(len(UPDATES)):
        entries = check(UPDATES[:end])
        counts.add(len(entries))
        for entry in entries:
            known = whole[entry.normalized_name, entry.version]
            assert entry.published in (known.published, None)
    assert counts == set(range(len(whole) + 1))


def test_a_body_is_never_the_name_of_a_file(tmp_path: Path) -> None:
    """feedparser opens what it is given when it can: an answer must not make it read our disk."""
    file = tmp_path / "feed.xml"
    file.write_bytes(UPDATES)
    with pytest.raises(ParseError, match="not a feed"):
        parse_feed(bytes(file))


@pytest.mark.parametrize(
    "body",
    [
        feed("/project/kelp/1.0/", more=f"<author>{'a.a' * 100_000}</author>"),
        feed("/project/kelp/1.0/", more=f"<dc:creator xmlns:dc='x'>{'a.a' * 100_000}</dc:creator>"),
        feed("/project/kelp/1.0/", more=f"<author<!-- -->{'a.a' * 100_000}</author<!-- -->"),
        feed("/project/kelp/1.0/", more=f"<description>{'&lt;a.a@' * 100_000}</description>"),
        b"\n" * 1_000_000 + feed("/project/kelp/1.0/"),
        b"<?xml version='1.0'?>" + b"\n" * 1_000_000 + feed("/project/kelp/1.0/"),
    ],
    ids=["author", "creator", "unclosed author", "description", "blank lines", "more blank lines"],
)
def test_a_long_text_does_not_hold_up_the_crawl(body: bytes) -> None:
    """feedparser alone takes minutes for each of these, most of them written by whoever uploads a package."""
    assert [entry.version for entry in parse_feed(body)] == ["1.0"]


def test_what_is_too_large_is_refused() -> None:
    item = b"<item><link>/project/kelp/1.0/</link></item>"
    head = b'<rss version="2.0"><channel>'
    assert len(parse_feed(head + item * rss.MAX_ENTRIES + b"</channel></rss>")) == rss.MAX_ENTRIES
    for body in (
        head + item * (rss.MAX_ENTRIES + 1) + b"</channel></rss>",
        head + item + b"<link>x</link>" * 5 * rss.MAX_ENTRIES + b"</channel></rss>",
        head + item + b"<link>" + b"x" * rss.MAX_READ + b"</link></channel></rss>",
        head + item + b" " * rss.MAX_BODY + b"</channel></rss>",
    ):
        with pytest.raises(ParseError, match=r"more than 1,000 entries|larger than 10,000,000 bytes"):
            parse_feed(body)


class TestRecorded:
    """Feeds that PyPI sent between 2014 and 2025."""

    @pytest.mark.usefixtures("zone")
    def test_every_item_of_every_feed_is_an_entry(self, real_data: Path) -> None:
        files = sorted((real_data / "rss").glob("*.xml"))
        assert len(files) >= 13
        for file in files:
            body = file.read_bytes()
            entries = check(body)
            assert len(entries) == body.count(b"<item>"), file.name
            versions = {entry.version is None for entry in entries}
            assert versions == {file.name.startswith(("packages", "newest"))}, file.name
            dates = re.findall(r"<pubDate>(?:\w+, )?([^<]+) GMT</pubDate>", body.decode())
            assert [entry.published for entry in entries] == [
                timegm(time.strptime(date, "%d %b %Y %H:%M:%S")) for date in dates
            ], file.name

    def test_links_tell_what_titles_tell(self, real_data: Path) -> None:
        body = (real_data / "rss" / "updates.xml.packages.xml").read_bytes()
        titles = re.findall(rb"<item>\s*<title>(\S+) (\S+)</title>", body)
        assert len(titles) == 100
        assert [(entry.normalized_name, entry.version) for entry in parse_feed(body)] == [
            (canonicalize_name(name.decode()), version.decode()) for name, version in titles
        ]

    def test_the_second_of_two_polls_shows_what_is_new(self, real_data: Path) -> None:
        old, new = (
            parse_feed((real_data / "rss" / f"updates_2019-01-09_{poll}.fabric8.xml").read_bytes())
            for poll in ("old", "new")
        )
        assert [entry.normalized_name for entry in new if entry not in old] == ["bss-python"]
