"""A store in a SQLite file: what fails here loses the file, shows it to others, or ends in a traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import pyf_scrapy
from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Contributor, RepositoryRecord
from pyf_scrapy.session import run_lock
from pyf_scrapy.store import (
    FeedState,
    IndexRead,
    Queued,
    RepositoryFacts,
    RepositoryLink,
    Standing,
    Store,
    Verified,
    schema,
)
from pyf_scrapy.store.locks import FileLock
from pyf_scrapy.store.tables import metadata

from .databases import one_line
from .samples import check, downloads, facts, link, repository

CHECKOUT = Path(pyf_scrapy.__file__).parents[1]
SCHEMAS = sorted(Path(__file__).parent.glob("schema_*.sql"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'pyf.sqlite'}"


def test_the_folder_is_made_for_its_owner_only(store: Store, url: str) -> None:
    folder = Path(url.removeprefix("sqlite:///")).parent
    assert folder.stat().st_mode & 0o777 == 0o700


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    noise, foreign = tmp_path / "noise", tmp_path / "foreign"
    noise.write_bytes(b"Not a database, but long enough. " * 100)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.executescript("CREATE TABLE meta (a, b); CREATE TABLE projects (x)")
    other = tmp_path / "other"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("CREATE TABLE things (x)")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (noise, foreign, other, folder, noise / "below-a-file"):
        with pytest.raises(StoreError) as error:
            Store(f"sqlite:///{path}")
        assert str(path) in one_line(error) or str(path.parent) in one_line(error)
    assert noise.read_bytes() == b"Not a database, but long enough. " * 100


def test_a_damaged_file_is_one_line(store: Store, url: str) -> None:
    store.save_packages([facts("1.0", name=f"p{number}") for number in range(300)])
    store.close()
    path = Path(url.removeprefix("sqlite:///"))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError) as error, Store(url) as damaged:
        list(damaged.iter_serials())
    assert str(path) in one_line(error)


READ_ONLY = """
import os, sys
from pyf_scrapy.store import Store
Store(sys.argv[1]).close()  # imports all there is, as long as it may
os.chmod(sys.argv[1].removeprefix("sqlite:///"), 0o444)
if os.getuid() == 0:
    os.setuid(65534)
try:
    Store(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_file_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    """A test that runs as root may write everything, so it gives that up first."""
    path = tmp_path / "pyf.sqlite"
    owned = [parent for parent in path.parents if parent.stat().st_uid == os.getuid() and parent.name]
    modes = {parent: parent.stat().st_mode & 0o7777 for parent in owned}
    Store(f"sqlite:///{path}").close()
    path.with_name("pyf.sqlite.lock").chmod(0o666)
    try:
        for parent, mode in modes.items():
            parent.chmod(mode | 0o055)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, f"sqlite:///{path}"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
    assert done.stdout.startswith("StoreError ")
    assert done.stdout.count("\n") == 1


def test_every_schema_is_kept() -> None:
    assert [path.name for path in SCHEMAS] == [f"schema_{n + 1}.sql" for n in range(schema.SCHEMA_VERSION)]


@pytest.mark.parametrize("old", SCHEMAS, ids=lambda path: path.stem)
def test_the_schemas_of_older_versions_are_opened(tmp_path: Path, old: Path) -> None:
    """Stores of all released versions are brought up to date, with everything in them."""
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(old.read_text())
    with Store(f"sqlite:///{path}", pypi_url="https://pypi.org") as store:
        assert list(store.iter_serials()) == [("old-pkg", 7)]
        store.record_checks([check("new")])
        store.save_packages([facts("1.0")])
        assert store.save_verified([Verified("some-pkg", 2000, None)]) == [False]
        assert store.standings(["some-pkg"])["some-pkg"].verified_at == 2000
        store.note_index(8, 1790001000, 2)
        store.save_feed(FeedState("https://pypi.org/rss/packages.xml", None, None, 1790001000))
        store.mark_seen({"key": 4000000000})
        assert store.index_reads()[-1] == IndexRead(8, 1790001000, 1790001000, 2)
        assert store.feeds()[0].polled_at == 1790001000
        assert store.seen_keys(["key"], 1790001000) == {"key"}
        assert store.status().projects == 3
        assert store.save_links([link("some-pkg", "github.com/a/b")]) == 1
        assert store.save_repositories([repository("github.com/a/b", stars=1)]) == 1
        assert store.save_downloads([downloads("some-pkg")]) == 1
        store.remember("name", [1])
        assert store.recall("name") == [1]
        assert store.enqueue(["new"], 1790001000, "queue add") == 1
        assert store.queued()[-1] == Queued("new", 1790001000, "queue add")
    Store(f"sqlite:///{tmp_path / 'new.sqlite'}").close()
    assert _columns(path) == _columns(tmp_path / "new.sqlite"), (
        "the tables changed: raise SCHEMA_VERSION and add a step to MIGRATIONS"
    )


def test_what_version_2_knew_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMAS[1].read_text())
    with Store(f"sqlite:///{path}") as store:
        standing = Standing("old-pkg", "archived", "done", '"p"', '"j"', 1790000000)
        assert store.standings(["old-pkg"]) == {"old-pkg": standing}
        assert store.index_reads() == [IndexRead(7, 1790000000, 1790000600, 1)]
        url = "https://pypi.org/rss/updates.xml"
        assert store.feeds() == [FeedState(url, '"f"', 1790000000, 1790000060)]
        assert store.seen_keys(["pyf:dedup:new:old-pkg"], 1790000000) == {"pyf:dedup:new:old-pkg"}


def test_what_version_3_knew_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMAS[2].read_text())
    with Store(f"sqlite:///{path}") as store:
        key, former = "github.com/old/pkg", "github.com/older/pkg"
        record = RepositoryRecord("R_1", "Old", "Pkg", archived=False, created_at=1500000000, stars=7)
        people = (Contributor("ann", 3, "https://example.org/a.png"),)
        known = RepositoryFacts(key, "ok", 1790000000, '"r"', "R_1", record, people, 1790000060)
        assert store.repositories([key, former]) == {key: known, former: known}
        assert store.links(["old-pkg"]) == {
            "old-pkg": RepositoryLink(
                "old-pkg",
                key,
                1790000000,
                url="https://github.com/older/pkg",
                label="Source",
                proof=Proof.NAMED,
                candidates=(former,),
                publisher="old/pkg",
                publisher_version="1.0",
            )
        }
        assert store.download_ages(["old-pkg"], "pypistats") == {"old-pkg": 1790000000}
        assert store.recall("github") == {"until": 1790000900}


def test_what_version_4_knew_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMAS[3].read_text())
    with Store(f"sqlite:///{path}") as store:
        assert store.queued() == [Queued("old-pkg", 1790000000, "queue add")]


def test_a_copy_made_while_in_use_is_whole(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    copy.write_text("an older copy")
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(
            lambda: [store.save_packages([facts("1.0", name=f"p{number}")]) for number in range(200)]
        )
        for _ in range(5):
            store.backup(copy)
            with Store(f"sqlite:///{copy}") as copied:
                names = [name for name, _ in copied.iter_serials()]
                assert all(package.revision == 1 for package in copied.load_packages(names))
                assert copied.status().members == len(names) == len(copied.events())
        written.result()
    assert list(tmp_path.glob("*.part*")) == []


def test_a_copy_must_be_another_file(store: Store, url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        store.backup(Path(url.removeprefix("sqlite:///")))
    with pytest.raises(StoreError) as error:
        store.backup(tmp_path / "missing" / "copy.sqlite")
    one_line(error)


def test_locks_go_to_the_folder_given(url: str, tmp_path: Path) -> None:
    """Also those of a program of before: it must not run beside this one."""
    folder = tmp_path / "here"
    with Store(url, folder=folder) as store, store.index_lock("a/b"), run_lock(store, "pypi"):
        assert store.locks_at == str(folder)
        for name in ("index-a%2Fb", "spider-pypi"):
            assert not FileLock(folder / "locks" / f"{name}.lock").acquire(blocking=False)


def _columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Of each table its columns: name, type, whether it must have a value, default, place in the key."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: [row[1:6] for row in connection.execute(f"PRAGMA table_xinfo({table})")]
            for table in [*metadata.tables, "releases_partial", "links_by_key"]
        }
