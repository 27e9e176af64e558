"""What arrives from a source is a stranger's. What fails here is stored as it came, or takes all memory."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ReplicationError, UsageProblem
from pyf_scrapy.replication import compression, copying
from pyf_scrapy.replication.compression import compressed, unpacked_lines
from pyf_scrapy.replication.copying import begin_copy, receive
from pyf_scrapy.replication.cursors import Cursor, Stage, parse_cursor
from pyf_scrapy.replication.lines import EventLine, Gone, Head, PageEnd, decode, encode
from pyf_scrapy.replication.source import Source
from pyf_scrapy.store import Store
from tests.replication.histories import copied, facts
from tests.store import samples

HEAD = Head(1, "ab12", "https://pypi.org", None)
URL = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A line with everything that there can be."""
    folder = tmp_path_factory.mktemp("good")
    with Store(f"sqlite:///{folder / 'x'}", pypi_url="https://pypi.org") as store:
        store.save_packages(
            [facts("2.0", "1.0", name="A.b", releases={"1.0": samples.metadata("1.0", name="A.b")})]
        )
        store.save_repositories([samples.repository("github.com/o/x", stars=1, commits=2)])
        store.save_links([samples.link("a-b", "github.com/o/x")])
        store.save_downloads([samples.downloads("a-b")])
        line: dict[str, Any] = json.loads(next(Source(store).facts()))
    line["package"]["releases"]["1.0"]["metadata"]["description"] = "text"
    return line


def changed(line: dict[str, Any], path: str, value: object) -> bytes:
    """The line with another value at "package/project/name"."""
    found = json.loads(json.dumps(line))
    *parts, last = path.split("/")
    inner = found
    for part in parts:
        inner = inner[int(part)] if isinstance(inner, list) else inner[part]
    inner[last] = value
    return json.dumps(found).encode()


def test_a_good_line_comes_through(good: dict[str, Any]) -> None:
    assert json.loads(encode(decode(json.dumps(good).encode()))) == good


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "../../etc"),
        ("name", "Other"),
        ("normalized_name", "A.b"),
        ("normalized_name", "a-b\n"),
        ("serial", 2**63),
        ("serial", -5),
        ("serial", "10"),
        ("serial", None),
        ("status", "forgotten"),
        ("status", "x" * 1000),
        ("classifiers", ["x"] * 3000),
        ("classifiers", "x"),
        ("package/project/normalized_name", "other"),
        ("package/project/name", "Other"),
        ("package/project/version", "1\x000"),
        ("package/project/version", "1" * 600),
        ("package/project/metadata/description", "a\0b"),
        ("package/project/metadata/summary", "\ud800"),
        ("package/project/metadata/keywords", 7),
        ("package/project/files", {" ": []}),
        ("package/releases", {"": {"serial": 1, "fetched_at": 1}}),
        ("package/releases", {"1\x00": {"serial": 1, "fetched_at": 1}}),
        ("package/standing/normalized_name", "other"),
        ("package/link/normalized_name", "other"),
        ("package/link/key", "github.com/else/where"),
        ("package/link/proof", "sworn"),
        ("package/repository/key", "github.com/else/where"),
        ("package/repository/state", "fine"),
        ("package/repository/record/stars", 1.5),
        ("package/downloads/0/normalized_name", "other"),
        ("package/downloads", [{"normalized_name": "a-b", "source": "s", "fetched_at": 1}] * 2),
        ("type", "secret"),
    ],
)
def test_what_no_parser_would_let_through_is_refused(good: dict[str, Any], path: str, value: object) -> None:
    with pytest.raises(ReplicationError) as caught:
        decode(changed(good, path, value))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"type":"gone","normalized_name":"A"}',
        b'{"type":"gone","normalized_name":"a\\u0000"}',
        b'{"type":"too_large","normalized_name":"A","size":1}',
        b'{"type":"too_large","normalized_name":"a","size":"much"}',
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"drop table"}',
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"released","version":""}',
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"released","detail":{"a":1.5}}',
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"released","detail":{"a":"\\u0000"}}',
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"x","detail":' + b'{"a":' * 90 + b"1" + b"}" * 91,
        b'{"type":"page","lines":-1,"cursor":"x"}',
        b'{"type":"page","lines":999999,"cursor":"x"}',
        b'{"type":"page","lines":1,"cursor":"\\u0007"}',
        b'{"type":"head","format":2,"store_id":"a","pypi_url":null,"scope":null}',
    ],
)
def test_lines_of_other_kinds_are_refused(line: bytes) -> None:
    with pytest.raises(ReplicationError):
        decode(line)


def test_a_line_of_very_many_tiny_objects_is_not_built() -> None:
    line = (
        b'{"type":"event","seq":1,"at":1,"name":"a","kind":"x","detail":{"a":['
        + b"{}," * 1_500_000
        + b"{}]}}"
    )
    with pytest.raises(ReplicationError, match="too many elements"):
        decode(line)


@given(st.binary(max_size=300))
def test_no_bytes_are_a_traceback(data: bytes) -> None:
    with pytest.raises(ReplicationError):
        decode(data)


class TestCompression:
    @given(st.lists(st.binary(max_size=50).filter(lambda b: b"\n" not in b), max_size=20), st.integers(1, 40))
    def test_lines_come_out_as_they_went_in_however_they_are_cut(self, texts: list[bytes], size: int) -> None:
        packed = b"".join(compressed(piece for text in texts for piece in (text + b"\n", b"")))
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert list(unpacked_lines(pieces)) == texts
        assert gzip.decompress(packed) == b"".join(text + b"\n" for text in texts), "curl and gunzip read it"

    def test_each_page_can_be_read_before_the_next_one_is_made(self) -> None:
        def pieces() -> Iterator[bytes]:
            yield from compressed(forever())

        def forever() -> Iterator[bytes]:
            while True:
                yield b"line\n"
                yield b""

        arriving = unpacked_lines(pieces())
        assert [next(arriving) for _ in range(3)] == [b"line"] * 3

    def test_a_line_without_end_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compression, "MAX_LINE", 1_000_000)
        bomb = gzip.compress(b"a" * 50_000_000)
        assert len(bomb) < 60_000
        with pytest.raises(ReplicationError, match="1,000,000 bytes"):
            list(unpacked_lines([bomb]))

    @pytest.mark.parametrize(
        "data", [b"plain text", gzip.compress(b"a\n", mtime=0) + b"more", zlib.compress(b"a\n")]
    )
    def test_what_is_no_gzip_is_refused(self, data: bytes) -> None:
        with pytest.raises(ReplicationError):
            list(unpacked_lines([data]))

    def test_what_is_cut_off_is_left_out(self) -> None:
        whole = b"".join(compressed([b"one\n", b"", b"two"]))
        assert list(unpacked_lines([whole])) == [b"one"]
        assert list(unpacked_lines([whole[:-9]])) == [b"one"]


class TestReceiving:
    @pytest.fixture
    def copy(self, tmp_path: Path) -> Iterator[Store]:
        with Store(f"sqlite:///{tmp_path / 'x'}", pypi_url="https://pypi.org") as store:
            yield store

    @pytest.mark.parametrize(
        ("sent", "message"),
        [
            ([], "nothing"),
            ([Gone("a")], "something else"),
            ([Head(1, "ab", "https://pypi.org", ("plone",))], "other profiles"),
            ([HEAD, HEAD], "a second time"),
            ([HEAD, Gone("a"), PageEnd(2, "c")], "1 lines where it says 2"),
            ([HEAD, *[Gone("a")] * 2_001], "too large"),
        ],
    )
    def test_a_source_that_does_not_keep_to_the_order_is_refused(
        self, copy: Store, sent: list[Any], message: str
    ) -> None:
        state = begin_copy(copy, URL, None)
        with pytest.raises(ReplicationError, match=message):
            list(receive(copy, state, map(encode, sent)))
        assert copy.copy_state() == state

    def test_a_page_of_too_many_bytes_is_refused(self, copy: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(copying, "MAX_PAGE_BYTES", 100)
        with pytest.raises(ReplicationError, match="too large"):
            list(receive(copy, begin_copy(copy, URL, None), [encode(HEAD), *[encode(Gone("a"))] * 10]))

    def test_a_bad_line_takes_its_page_with_it_and_no_other(self, copy: Store, good: dict[str, Any]) -> None:
        state = begin_copy(copy, URL, None)
        line = json.dumps(good).encode()
        first = [encode(HEAD), line, encode(PageEnd(1, "first"))]
        second = [changed(good, "serial", 99), changed(good, "serial", 2**70), encode(PageEnd(2, "second"))]
        with pytest.raises(ReplicationError):
            list(receive(copy, state, first + second))
        assert copy.copy_state().cursor == "first"  # type: ignore[union-attr]
        assert copied(copy)["a-b"].serial == 10

    def test_a_name_twice_in_a_page_is_its_last_line(self, copy: Store, good: dict[str, Any]) -> None:
        sent = [encode(HEAD), json.dumps(good).encode(), changed(good, "serial", 99), encode(PageEnd(2, "c"))]
        list(receive(copy, begin_copy(copy, URL, None), sent))
        assert copied(copy)["a-b"].serial == 99


class TestCursors:
    @pytest.mark.parametrize(
        "cursor",
        [
            Cursor("ab", "-"),
            Cursor("0123456789abcdef", "0123456789abcdef", Stage.CHANGES, 7, 8, "0123456789abcdef", "~"),
            Cursor("ab", "-", Stage.SNAPSHOT, 7, 0, "-", "plone-api"),
        ],
    )
    def test_a_cursor_is_read_as_it_was_written(self, cursor: Cursor) -> None:
        assert parse_cursor(str(cursor)) == cursor

    @pytest.mark.parametrize(
        "text",
        ["", "1", "2.ab.-.s.0.0.-.", "1.ab.-.x.0.0.-.", "1.ab.-.s.-1.0.-.", "1.ab.-.s.0.0.-.A", "1" * 900],
    )
    def test_anything_else_is_one_line(self, text: str) -> None:
        with pytest.raises(UsageProblem, match="is not a cursor"):
            parse_cursor(text)

    def test_an_event_line_is_the_event(self, tmp_path: Path) -> None:
        with Store(f"sqlite:///{tmp_path / 'x'}") as store:
            store.save_packages([facts("1.0", name="a", vulnerable=True)])
            assert [decode(encode(EventLine.of(event))).event() for event in store.events()] == store.events()  # type: ignore[union-attr]
