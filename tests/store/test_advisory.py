"""Locks between machines: what fails here lets two write as if each were alone, or waits for the dead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy.engine import make_url

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.session import run_lock
from pyf_scrapy.store import Store, database
from pyf_scrapy.store.postgresql import GONE_AFTER, client_options
from tests.postgresql import Postgresql

from .databases import execute, one_line


@pytest.fixture
def url(postgresql: Postgresql) -> Iterator[str]:
    with postgresql.url_of_empty_store() as url:
        yield url


def test_who_has_lost_it_writes_no_more(store: Store, postgresql: Postgresql) -> None:
    lock = run_lock(store, "pypi")
    assert lock.acquire(blocking=False)
    store.guard(lock)
    run = store.start_run("pypi", {}, 1000)
    postgresql.end_locks()
    with run_lock(store, "pypi"):
        for _ in range(2):
            with pytest.raises(StoreError, match="the lock spider-pypi was lost") as error:
                store.remember("name", 1)
            one_line(error)
        assert store.recall("name") is None
    store.finish_run(run, "finished", 1, {}, 2000)  # it has ended, whoever runs now
    assert lock.held, "by its own account"
    lock.release()
    lock.release()
    assert not lock.in_use()


def test_what_is_done_under_a_lost_lock_of_a_collection_is_no_success(
    store: Store, postgresql: Postgresql
) -> None:
    store.finish_index("plone", [("a", 1, {"a==1": b"12345678"})])
    with pytest.raises(StoreError, match="lost"), store.index_lock("plone"):  # noqa: PT012
        store.begin_index("plone", [("a", ["a==2"])])
        postgresql.end_locks()
        with store.index_lock("plone"):
            pass  # somebody else
        with pytest.raises(StoreError, match="lost"):
            store.finish_index("plone", [("a", 2, {"a==2": b"12345678"})])
        store.doubt_index("plone", [("a", ["a==3"])])
    (state,) = store.indexed("plone", ["a"]).values()
    assert state.revision is None
    assert state.hashes == {"a==1": b"12345678", "a==2": b"", "a==3": b""}
    with pytest.raises(StoreError, match="lost"), store.index_lock("plone"):
        postgresql.end_locks()
    store.finish_index("plone", [("a", 2, {})])


def test_a_restart_of_the_server_frees_all(store: Store, url: str, postgresql: Postgresql) -> None:
    lock, other = store.lock("one"), store.lock("one")
    assert lock.acquire()
    postgresql.stop()
    with pytest.raises(StoreError) as error:
        other.acquire()
    one_line(error)
    postgresql.start()
    with pytest.raises(StoreError):
        lock.ensure_held()
    with Store(url) as second, second.lock("one"):
        assert not other.acquire(blocking=False)
        lock.release()
        assert lock.in_use(), "it is the other's"


@pytest.mark.parametrize("for_what", ["lock", "write"])
def test_who_waits_does_not_wait_for_ever_when_the_server_goes(
    store: Store, url: str, postgresql: Postgresql, for_what: str
) -> None:
    def wait() -> str:
        work = waiting.lock("one").acquire if for_what == "lock" else partial(waiting.remember, "name", 1)
        with pytest.raises(StoreError) as error:
            work()
        return one_line(error)

    def stop_while_somebody_waits() -> None:
        with ThreadPoolExecutor(1) as pool, store.lock("one"), store._database.write():
            waiter = pool.submit(wait)
            while not execute(url, "SELECT pid FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)
            postgresql.stop()
            told.append(waiter.result(timeout=30))

    told: list[str] = []
    with Store(url) as waiting:
        with pytest.raises(StoreError):  # that of who wrote
            stop_while_somebody_waits()
        assert len(told) == 1
    postgresql.start()
    assert store.recall("name") is None


def test_who_waits_for_a_writer_that_hangs_gives_up(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 1)
    with Store(url) as other, store._database.write(), pytest.raises(StoreError, match="lock timeout"):
        other.remember("name", 1)


def test_they_take_no_connection_away(url: str) -> None:
    """The store has 15 at most; a spider of many parts would wait for itself."""
    with Store(url) as store:
        locks = [store.lock(f"lock {number}") for number in range(20)]
        assert all(lock.acquire(blocking=False) for lock in locks)
        store.remember("name", 1)
        assert store.recall("name") == 1
        for lock in locks:
            lock.release()
        assert execute(url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []


def test_a_lock_that_was_forgotten_is_free(store: Store, url: str) -> None:
    assert store.lock("one").acquire()
    with Store(url) as other:
        assert other.lock("one").acquire(timeout=10)


def test_two_stores_in_one_database_do_not_exclude_each_other(store: Store, postgresql: Postgresql) -> None:
    with Store(postgresql.new_url()) as other, other.lock("one"), store.lock("one"):
        assert other.lock("one").in_use()


def test_the_users_own_settings_of_the_connection_count() -> None:
    url = make_url("postgresql+psycopg://host/name?keepalives_idle=5")
    assert "keepalives_idle" not in client_options(url)
    assert client_options(url)["tcp_user_timeout"] == GONE_AFTER * 1000
    assert client_options(make_url("postgresql+pg8000://host/name")) == {}


def test_nobody_ends_a_session_that_holds_a_lock_but_is_silent(url: str) -> None:
    """A run of days says nothing on that connection; an administrator may have set limits."""
    limits = ("statement_timeout", "idle_session_timeout", "lock_timeout")
    execute(url, *(f"ALTER ROLE pyf SET {name} = 200" for name in limits))
    try:
        with Store(url) as store, store.lock("one") as lock, ThreadPoolExecutor(1) as pool:
            other = store.lock("one")
            waiter = pool.submit(other.acquire)
            time.sleep(0.5)
            lock.ensure_held()
            lock.release()
            assert waiter.result()
            other.release()
    finally:
        # Not under these limits: no other test would have a database any more.
        unlimited = " ".join(f"-c {name}=0" for name in limits)
        free = make_url(url).update_query_dict({"options": unlimited}).render_as_string(hide_password=False)
        execute(free, *(f"ALTER ROLE pyf RESET {name}" for name in limits))
