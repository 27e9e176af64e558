"""The index file: what fails here makes a crawl forget projects, or fetch everything again."""

from __future__ import annotations

import tracemalloc
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.index_file import NO_SERIAL, IndexFile, IndexHeader

ENTRIES = [("zope", "Zope", 30), ("a-b", "A.b", 20), ("a", "a", 10), ("no-serial", "no.serial", None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "index"


@pytest.fixture
def written(path: Path) -> Path:
    with IndexFile(path) as file:
        file.write(ENTRIES, etag='W/"x"', last_serial=40, written_at=1000)
    return path


def test_entries_come_sorted_with_their_places(written: Path) -> None:
    with IndexFile(written) as file:
        assert file.header == IndexHeader('W/"x"', 40, 4, 1000)
        rows = list(file)
        assert [row[:2] for row in rows] == [("a", 10), ("a-b", 20), ("no-serial", NO_SERIAL), ("zope", 30)]
        assert [file.entry_at(row[2]) for row in rows] == [
            ("a", "a", 10),
            ("a-b", "A.b", 20),
            ("no-serial", "no.serial", NO_SERIAL),
            ("zope", "Zope", 30),
        ]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=9),
        st.tuples(st.text(max_size=3), st.none() | st.integers(0, 2**63 - 1)),
    ),
    st.integers(1, 50),
)
def test_any_names_come_back(
    tmp_path_factory: pytest.TempPathFactory, named: dict[str, tuple[str, int | None]], chunk: int
) -> None:
    """Order is that of the store (code points), wherever a block of the file ends."""
    path = tmp_path_factory.getbasetemp() / "any-index"
    with pytest.MonkeyPatch.context() as patch, IndexFile(path) as file:
        patch.setattr("pyf_scrapy.store.index_file._CHUNK", chunk)
        patch.setattr("pyf_scrapy.store.index_file._AT_ONCE", chunk)
        header = file.write(
            [(name, display, serial) for name, (display, serial) in named.items()],
            etag=None,
            last_serial=None,
            written_at=0,
        )
        good = {n: v for n, v in named.items() if n.isprintable() and v[0].isprintable()}
        rows = list(file)
        assert header.count == len(rows) == len(good)
        assert [name for name, _, _ in rows] == sorted(good)
        for name, serial, offset in rows:
            display, given_serial = good[name]
            assert serial == (NO_SERIAL if given_serial is None else given_serial)
            assert file.entry_at(offset) == (name, display or name, serial)


def test_names_that_cannot_be_fetched_are_left_out(path: Path) -> None:
    bad = ["", "a\tb", "a\nb", "\x00", "x\ud800", "y\u2028"]
    with IndexFile(path) as file:
        header = file.write(
            [("ok", "ok", 1), ("dis", "dis\nplay", 1), *((name, name, 1) for name in bad)],
            etag=None,
            last_serial=1,
            written_at=0,
        )
        assert [name for name, _, _ in file] == ["ok"]
        assert header.count == 1


def test_of_two_entries_of_a_name_the_higher_serial_stays(path: Path) -> None:
    with IndexFile(path) as file:
        file.write(
            [("a", "A", 9), ("a", "a", 10), ("a", "á", 8), ("b", "b", None), ("b", "B", 1)],
            etag=None,
            last_serial=1,
            written_at=0,
        )
        assert [(name, serial) for name, serial, _ in file] == [("a", 10), ("b", 1)]


def test_a_missing_file_is_absent(path: Path) -> None:
    file = IndexFile(path)
    assert file.read_header() is None
    assert list(file) == []
    with pytest.raises(StoreError):
        _ = file.header
    with pytest.raises(StoreError):
        file.entry_at(0)
    file.close()


def test_a_file_cut_off_anywhere_is_absent(written: Path) -> None:
    whole = written.read_bytes()
    for size in range(len(whole)):
        written.write_bytes(whole[:size])
        assert IndexFile(written).read_header() is None
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        written.write_bytes(damaged)
        header = IndexFile(written).read_header()
        assert header is None or place < whole.index(b"\n"), "only the head's own words are not summed up"
    written.write_bytes(whole + b"more")
    assert IndexFile(written).read_header() is None
    for other in (b"", b"{}\n", b"[1]", b"\x00" * 5000, b'{"format":"pyf_scrapy index 1"}\n'):
        written.write_bytes(other)
        assert IndexFile(written).read_header() is None
    written.unlink()
    written.mkdir()
    assert IndexFile(written).read_header() is None


def test_places_stay_good_while_another_index_is_written(written: Path) -> None:
    """The work list of a running crawl points into the index it was made from."""
    with IndexFile(written) as old, IndexFile(written) as new:
        places = [place for _, _, place in old]
        new.write([("other", "other", 1)], etag=None, last_serial=50, written_at=2000)
        assert [old.entry_at(place)[0] for place in places] == ["a", "a-b", "no-serial", "zope"]
        assert [name for name, _, _ in new] == ["other"]
        assert new.header.last_serial == 50
        old.close()
        assert old.header.last_serial == 50


def test_a_failed_write_keeps_the_old_file(written: Path) -> None:
    def entries() -> list[tuple[str, str, int | None]]:
        raise RuntimeError("the parser failed")

    with IndexFile(written) as file, pytest.raises(RuntimeError):
        file.write(entries(), etag=None, last_serial=1, written_at=1)
    assert IndexFile(written).header.last_serial == 40
    assert [path.name for path in written.parent.iterdir()] == ["index"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "index"):
        with pytest.raises(StoreError, match="cannot write"):
            IndexFile(path).write(ENTRIES, etag=None, last_serial=1, written_at=1)
    assert list((tmp_path).glob("folder.*")) == []


def test_an_offset_past_the_end_is_an_error(written: Path) -> None:
    with IndexFile(written) as file:
        assert file.read_header()
        with pytest.raises(StoreError, match="no entry"):
            file.entry_at(10**9)


def test_reading_takes_no_memory(path: Path) -> None:
    """PyPI's index has 900,000 entries; the crawl keeps only their places."""
    with IndexFile(path) as file:
        file.write(
            ((f"p{number:06}", f"P{number:06}", number) for number in range(100_000)),
            etag=None,
            last_serial=1,
            written_at=0,
        )
    with IndexFile(path) as file:
        assert file.read_header()
        tracemalloc.start()
        places = array("Q", (place for _, _, place in file))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(places) == 100_000
        assert peak < 8 * 2**20
