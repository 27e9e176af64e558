"""The index: a run begins with it and reads it again every half hour, in the memory of a small machine."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import simple_index
from pyf_scrapy.parsers.records import File
from pyf_scrapy.parsers.simple_index import (
    IndexEntry,
    IndexReader,
    SimplePage,
    files_by_version,
    parse_index,
    parts_of,
)

PROJECTS = 50_000


@pytest.mark.parametrize(
    ("last", "entry"),
    [
        ({"name": "kelp", "_last-serial": 5}, IndexEntry("kelp", 5)),
        ({"name": "kelp", "_last-serial": {}}, IndexEntry("kelp", None)),  # entries are then read singly
    ],
    ids=["at once", "singly"],
)
def test_memory_per_project(last: object, entry: IndexEntry) -> None:
    """Measured at 886,000 projects: 155 and 180 MB beside the body of 44 MB, 0.8 and 1.6 CPU seconds."""
    projects = [
        {"_last-serial": 36_000_000 + number, "name": f"Project-{number}"} for number in range(PROJECTS)
    ]
    body = msgspec.json.encode({"projects": [*projects, last]})
    tracemalloc.start()
    try:
        index = parse_index(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(index.projects) == PROJECTS + 1
    assert index.projects[-1] == entry
    assert index.skipped == 0
    assert peak / PROJECTS < 280  # bytes


@pytest.mark.parametrize("last", [{"name": "kelp"}, {"name": 7}], ids=["at once", "singly"])
def test_a_reader_needs_the_memory_of_a_piece(last: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawler of a million names has 200 MB; all entries at once would be as much."""
    monkeypatch.setattr(simple_index, "_PIECE", 1 << 14)
    projects = [{"_last-serial": 36_000_000 + n, "name": f"Project-{n}"} for n in range(PROJECTS)]
    body = msgspec.json.encode({"projects": [last, *projects, last]})
    tracemalloc.start()
    try:
        count = sum(1 for _ in IndexReader(parts_of(body)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == PROJECTS + 2 * (last == {"name": "kelp"})
    assert peak / PROJECTS < 10  # bytes


@given(
    st.lists(st.text(alphabet='a},{"\\[]', max_size=12) | st.integers(0, 9) | st.none(), max_size=12),
    st.sampled_from(["%s", "[%s]", '{"name": "x", "nested": [{"a": 1}, {"name": "a"}]},%s']),
    st.integers(0, 40),
)
def test_where_a_piece_ends_makes_no_difference(names: list[object], shape: str, piece: int) -> None:
    """Else a name with `},{` in it, or an entry of a later API, hides projects or invents some."""
    entries = [msgspec.json.encode({"name": name, "x": {"y": [{}, {}]}, "_last-serial": 1}) for name in names]
    text = (shape % ", ".join(entry.decode() for entry in entries)).rstrip(",")
    body = f'{{"projects": [{text}]}}'.encode()
    with pytest.MonkeyPatch.context() as patch:
        whole = parse_index(body)
        patch.setattr(simple_index, "_PIECE", piece)
        assert parse_index(body) == whole


@given(st.integers(1, 60), st.integers(0, 60))
def test_how_the_answer_arrives_makes_no_difference(length: int, piece: int) -> None:
    """It comes in parts that end anywhere: within a name, within the word `projects`."""
    body = (
        b'{"meta": {"api-version": "1.4", "_last-serial": 9}, "projects" : [{"name": "a},{b"},'
        b' {"name": "b", "files": [{"x": {}}, {}], "_last-serial": 2} , {"name": "c"}], "more": [{}, {}]}'
    )
    reader = IndexReader(body[at : at + length] for at in range(0, len(body), length))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simple_index, "_PIECE", piece)
        assert list(reader) == [("b", 2), ("c", None)]
    assert (reader.last_serial, reader.skipped) == (9, 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"meta": {"projects": [{"name": "a"}, {"name": "b"}]}, "projects": [{"name": "c"}]}',
        b'{"projects": [{"name": "a"}, {"name": "b"}]',
        b'{"projects": [{"name": "a"}, {"name": "b"}], "meta": {"api-version": "2.0"}}',
        b'{"projects": [{"name": "a"}, {"name": "b"}]} and more',
    ],
    ids=["two places", "cut off", "another version", "something behind it"],
)
def test_what_follows_can_make_the_whole_unusable(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an index is none: what it lacks would be taken for removed."""
    monkeypatch.setattr(simple_index, "_PIECE", 0)
    with pytest.raises(ParseError):
        list(IndexReader([body]))


def test_the_ceiling_leaves_room_to_grow() -> None:
    """PyPI gains 130,000 projects a year; an index above the ceiling would end all updates."""
    entry = b'{"_last-serial":36000000,"name":"project"},'
    assert 2_500_000 * entry.count(b"{") <= simple_index.MAX_PROJECTS
    assert 2_500_000 * entry.count(b",") <= simple_index.MAX_INDEX_COMMAS


def test_files_stand_under_versions_as_listed() -> None:
    """The page is the fallback when the project JSON loses `releases`."""
    wheel = File("kelp-1.0.0-py3-none-any.whl")
    sdist = File("kelp-1.0.tar.gz")
    stray = File("other-1.0.tar.gz")
    listed = SimplePage("kelp", versions=("2.0", "1.0"), files=(wheel, sdist, stray))
    assert list(files_by_version(listed).items()) == [("2.0", ()), ("1.0", (wheel, sdist))]
    before_1_1 = SimplePage("kelp", files=(wheel, sdist, stray))
    assert files_by_version(before_1_1) == {"1.0.0": (wheel,), "1.0": (sdist,)}
