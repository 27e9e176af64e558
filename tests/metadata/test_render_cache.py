"""Renderings that are kept: what fails here shows an old, wrong or dangerous text, or fills the disk."""

from __future__ import annotations

import ast
import importlib.metadata
import logging
import os
import pkgutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from pyf_scrapy.metadata import render_cache
from pyf_scrapy.metadata.descriptions import MAX_HTML, Description, render
from pyf_scrapy.metadata.render_cache import LIBRARIES, MODULES, RenderCache
from pyf_scrapy.metadata.renderer import Renderer

PACKAGE = Path(render_cache.__file__).parent
MARKDOWN = "text/markdown"
SOURCE = "# Title\n\nFirst *chapter* with [a link](https://example.org).\n\n## Changelog\n\n1.0 ☃"
RENDERED = render(SOURCE, MARKDOWN)
ROOM = 10**8


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the program each time: it is another one in some tests."""
    monkeypatch.setattr(render_cache, "_program", render_cache._program.__wrapped__)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "renderings.sqlite"


@pytest.fixture
def cache(path: Path) -> Iterator[RenderCache]:
    made = RenderCache(path, ROOM)
    yield made
    made.close()


def kept(path: Path) -> dict[bytes, bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, value FROM renderings"))


def write(path: Path, key: bytes, value: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO renderings VALUES (?, ?)", (key, value))


async def test_the_next_run_renders_nothing(path: Path) -> None:
    first = Renderer(workers=1, cache=RenderCache(path, ROOM))
    assert await first.render(SOURCE, MARKDOWN) == RENDERED
    await first.close()
    second = Renderer(workers=1, cache=RenderCache(path, ROOM))
    assert await second.render(SOURCE, MARKDOWN) == RENDERED
    assert (second.pids, second.rendered, second.cached) == ([], 0, 1)
    assert await second.render(SOURCE, "text/plain") != RENDERED
    assert await second.render(SOURCE + ".", MARKDOWN) != RENDERED
    assert (second.rendered, second.cached) == (2, 1)
    await second.close()


def test_text_and_type_are_not_mixed_up(cache: RenderCache) -> None:
    cache.put("b", "a", RENDERED)
    assert cache.get("b", "a") == RENDERED
    for source, content_type in (("ab", ""), ("", "ab"), ("a", "b"), ("1 ab", "")):
        assert cache.get(source, content_type) is None


@pytest.mark.parametrize("change", ["a module of ours", "a library", "Python"])
def test_another_sanitiser_never_serves_what_an_older_one_made(
    cache: RenderCache, path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put(SOURCE, MARKDOWN, RENDERED)
    same = RenderCache(path, ROOM)
    assert same.get(SOURCE, MARKDOWN) == RENDERED
    same.close()
    if change == "a library":
        monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 1000")
    elif change == "Python":
        monkeypatch.setattr(sys, "version", "4.0")
    else:
        read = pkgutil.get_data
        monkeypatch.setattr(pkgutil, "get_data", lambda package, name: (read(package, name) or b"") + b"#")
    other = RenderCache(path, ROOM)
    assert other.get(SOURCE, MARKDOWN) is None
    other.close()


def test_all_that_takes_part_in_rendering_is_looked_at() -> None:
    """A module or library that is forgotten here could change without anybody noticing."""
    installed = importlib.metadata.packages_distributions()
    ours, theirs = set(), set()
    for module in MODULES:
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top == "pyf_scrapy":
                    ours.add(name)
                elif top not in sys.stdlib_module_names:
                    theirs.add(canonicalize_name(installed[top][0]))
    assert ours <= {f"pyf_scrapy.metadata.{module}" for module in MODULES}
    assert theirs == {*LIBRARIES, "msgspec"}, "msgspec only declares what a description is"


def test_where_the_program_cannot_be_told_nothing_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data in (None, FileNotFoundError()):

        def read(package: str, name: str, data: object = data) -> object:
            if isinstance(data, Exception):
                raise data
            return data

        monkeypatch.setattr(pkgutil, "get_data", read)
        cache = RenderCache(path, ROOM)
        cache.put(SOURCE, MARKDOWN, RENDERED)
        assert cache.get(SOURCE, MARKDOWN) is None
    assert not path.exists()


def test_who_can_write_the_file_can_still_run_no_script(cache: RenderCache, path: Path) -> None:
    """Its entries may claim to be sanitised, with a checksum that is right."""
    cache.put(SOURCE, MARKDOWN, Description("<p onclick=x>a<script>alert(1)</script></p>", title="T"))
    assert cache.get(SOURCE, MARKDOWN) == Description("<p>a</p>", title="T")
    cache.put(SOURCE, MARKDOWN, Description("x" * (MAX_HTML + 1)))
    assert cache.get(SOURCE, MARKDOWN) is None
    cache.put(SOURCE, MARKDOWN, Description("&" * 20_000_000))  # packed it is small
    assert cache.get(SOURCE, MARKDOWN) is None


def test_a_damaged_entry_is_rendered_again(cache: RenderCache, path: Path) -> None:
    cache.put(SOURCE, MARKDOWN, RENDERED)
    [(key, value)] = kept(path).items()
    cache.put("other", MARKDOWN, render("other", MARKDOWN))
    [other] = [one for name, one in kept(path).items() if name != key]
    flipped = [value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :] for place in range(len(value))]
    for wrong in (*flipped, value[:-1], b"", other, "text", 7):
        write(path, key, wrong)
        assert cache.get(SOURCE, MARKDOWN) is None
    write(path, key, value)
    assert cache.get(SOURCE, MARKDOWN) == RENDERED


@pytest.mark.parametrize("content", [b"", b"no database at all " * 500, None])
def test_a_file_that_is_damaged_or_something_else_is_made_anew(path: Path, content: bytes | None) -> None:
    path.parent.mkdir()
    if content is None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE renderings (other)")
    else:
        path.write_bytes(content)
    cache = RenderCache(path, ROOM)
    assert cache.get(SOURCE, MARKDOWN) is None
    cache.put(SOURCE, MARKDOWN, RENDERED)
    assert cache.get(SOURCE, MARKDOWN) == RENDERED
    cache.close()
    assert len(kept(path)) == 1


def test_a_file_that_is_damaged_in_use_costs_renderings_only(path: Path) -> None:
    cache = RenderCache(path, ROOM)
    for number in range(200):
        cache.put(f"{number}", MARKDOWN, Description(f"<p>{number} {os.urandom(500).hex()}</p>"))
    cache.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert [cache.get(f"{number}", MARKDOWN) for number in range(200)] == [None] * 200
    cache.put(SOURCE, MARKDOWN, RENDERED)
    assert cache.get(SOURCE, MARKDOWN) == RENDERED
    cache.close()


async def test_without_a_place_for_the_file_all_is_rendered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    renderer = Renderer(workers=1, cache=RenderCache(tmp_path / "file" / "renderings.sqlite", ROOM))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert await renderer.render(SOURCE, MARKDOWN) == RENDERED
    assert len(caplog.records) == 1
    assert renderer.rendered == 2
    await renderer.close()


def test_it_keeps_to_its_room(path: Path) -> None:
    """The oldest go first, and what is read is still there."""
    room = 400_000
    cache = RenderCache(path, room)
    for number in range(600):
        cache.put(f"{number}", MARKDOWN, Description(f"<p>{number} {os.urandom(1000).hex()}</p>"))
    cache.close()
    assert path.stat().st_size < room * 1.1
    left = [number for number in range(600) if cache.get(f"{number}", MARKDOWN)]
    assert left == list(range(left[0], 600))
    assert len(left) > 200
    cache.close()


def test_several_processes_may_use_it(path: Path) -> None:
    one, two = RenderCache(path, ROOM), RenderCache(path, ROOM)
    one.put("1", MARKDOWN, RENDERED)
    two.put("2", MARKDOWN, RENDERED)
    assert one.get("2", MARKDOWN) == two.get("1", MARKDOWN) == RENDERED
    one.close()
    two.close()


def test_another_one_that_writes_for_long_costs_renderings_only(
    cache: RenderCache, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(render_cache, "_PATIENCE", 0.01)
    cache.put("1", MARKDOWN, RENDERED)
    cache.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        cache.put("2", MARKDOWN, RENDERED)
        assert cache.get("1", MARKDOWN) == RENDERED
        other.execute("ROLLBACK")
    cache.put("3", MARKDOWN, RENDERED)
    assert [cache.get(name, MARKDOWN) is not None for name in "123"] == [True, False, True]
    assert not caplog.records


def test_it_is_for_its_owner_only(cache: RenderCache, path: Path) -> None:
    cache.put(SOURCE, MARKDOWN, RENDERED)
    assert path.parent.stat().st_mode & 0o777 == 0o700
