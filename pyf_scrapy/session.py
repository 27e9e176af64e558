"""What one crawl shares: the store, the search server, the profiles with their collections, and the date."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from pyf_scrapy.exceptions import AlreadyRunningError, ProfileError, UsageProblem
from pyf_scrapy.items import PackageItem, stored_item
from pyf_scrapy.ownership import Origin, origin_of, refusal
from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.search.collections import Collection, ensure_collection, ids_by_package
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.documents import FORMAT
from pyf_scrapy.search.marks import Marking
from pyf_scrapy.search.relevance import prepare_search
from pyf_scrapy.search.switch import finish_switch
from pyf_scrapy.store import Store
from pyf_scrapy.store.locks import Lock
from pyf_scrapy.store.run_reports import Failures
from pyf_scrapy.store.writer import StoreWriter


@dataclass(frozen=True)
class Target:
    """A profile as the user asked for it.

    `releases` is meaningful only with `releases_given`: otherwise the collection keeps what it was made
    with. `names` are added to what the collection already includes (the spider `project` without profile);
    with `as_made` the collection's own definition counts, whoever made it. `by_classifier`: the profile is
    the argument classifier=, not one of profiles.yaml.
    """

    profile: Profile
    releases_given: bool = False
    names: frozenset[str] = frozenset()
    as_made: bool = False
    by_classifier: bool = False

    @property
    def origin(self) -> Origin:
        """What says which packages belong here."""
        if self.names:
            return Origin.NAMES
        return Origin.CLASSIFIER if self.by_classifier else Origin.PROFILE


@dataclass
class Session:
    """Opened once per crawl by the first component that needs it; see `open`."""

    spider: str
    settings: Mapping[str, Any]
    targets: Sequence[Target]
    now: date
    #: whether others may run the same spider at the same time, because they share its work
    shared: bool = False
    #: whether the store may be a copy of another one, to which nothing may be added here
    on_copy: bool = False
    profiles: list[Profile] = field(default_factory=list)
    collections: dict[str, Collection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        #: whether all releases carry text; another run may have given a collection more than our settings say
        self.all_texts = self.settings["DESCRIPTIONS"] == "all"
        #: what failed in this crawl
        self.failures = Failures()
        self._opening = asyncio.Lock()
        self._opened = False
        self._run_lock: Lock | None = None
        self._store: Store | None = None
        self._writer: StoreWriter | None = None
        self._connection: Connection | None = None

    @property
    def data_dir(self) -> Path:
        return Path(self.settings["PYF_DATA_DIR"])

    @property
    def store(self) -> Store:
        assert self._store is not None, "the session is not open"
        return self._store

    @property
    def writer(self) -> StoreWriter:
        assert self._writer is not None, "the session is not open"
        return self._writer

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, "the session is not open"
        return self._connection

    @property
    def is_open(self) -> bool:
        return self._opened

    @property
    def has_store(self) -> bool:
        """Whether the store is open and no other run of the spider uses it, though the search server may have
        failed to open."""
        return self._store is not None and self._run_lock is not None

    async def open(self) -> None:
        """Take the spider's lock, open the store and the search server, make sure of the collections.

        Blocking work runs in threads. Raises AlreadyRunningError, StoreError or SearchError; a session
        that failed to open can be closed.
        """
        async with self._opening:
            if self._opened:
                return
            await _abandonable(self._open_store)
            self._writer = StoreWriter(self.store)
            await _abandonable(self._open_search)
            self._opened = True

    async def fail(self, normalized_name: str, stage: str, *reasons: str) -> None:
        """Note in the store that a package failed at `stage` ("project", "release", "index" ...)."""
        reason = "; ".join(reasons[:5])
        await self.writer.fail(normalized_name, stage, reason, int(time.time()))
        self.failures.note(normalized_name, stage, reason)

    def stored_item(self, normalized_name: str) -> PackageItem | None:
        """`items.stored_item` with the downloads of DOWNLOADS_SOURCE; blocking. Raises StoreError."""
        return stored_item(self.store, normalized_name, self.settings["DOWNLOADS_SOURCE"])

    def waiting(self) -> list[str]:
        """The packages of the profiles that are stored but not in the index, once for each collection that
        lacks them; blocking. Raises StoreError."""
        return [name for p in self.profiles for name in self.store.dirty(p.collection, p)]

    def mark_sent(self, collections: Iterable[str]) -> None:
        """Something was sent to these: a copy of the search server from before is known as an older one.

        Blocking. Raises SearchError, StoreError.
        """
        for collection in collections:
            with self.store.index_lock(collection):
                mark = Marking(self.store, self.connection.client, collection)
                if (
                    not mark.is_doubtful
                ):  # else the server was replaced under us: the next run sends all again
                    mark.renew()

    async def close(self) -> None:
        """Flush the writer, free the lock, close everything."""
        if self._writer is not None:
            await self._writer.close()
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)
        if self._run_lock is not None:
            self._run_lock.release()
        if self._store is not None:
            self._store.close()
        self._opened = False

    def _open_store(self) -> None:
        self._store = open_store(self.settings)
        copy = None if self.on_copy else self._store.copy_state()
        if copy is not None:
            raise UsageProblem(
                f"{self._store.locks_at} is a copy, which `scrapy replicate {copy.source}` keeps up to date; "
                f"`{self.spider}` runs at its source"
            )
        lock = run_lock(self._store, self.spider)
        if not lock.acquire(blocking=False):
            if self.shared:
                return
            where = self._store.locks_at
            raise AlreadyRunningError(f"the spider {self.spider} is already running in {where}")
        self._run_lock = lock
        self._store.guard(lock)

    def _open_search(self) -> None:
        for target in self.targets:
            self._resolve(target)  # what is refused is so before anything is opened, made or sent
        self._connection = connect(TypesenseSettings.from_settings(self.settings))
        for target in self.targets:
            profile, collection = self._remember(target)
            self.profiles.append(profile)
            self.collections[profile.collection] = collection

    def _remember(self, target: Target) -> tuple[Profile, Collection]:
        """Tell the store which collection it is; when it is not quite the one known, what it really holds.

        Returns the profile as it is filled now, and the collection. All under the lock: what another run has
        just changed or switched stays as that run made it.
        """
        store, connection = self.store, self.connection
        alias = target.profile.collection
        with store.index_lock(alias):
            finish_switch(store, connection.client, alias, connection.identity)
            collection = ensure_collection(connection.client, alias)
            identity = (collection.name, collection.created_at, connection.identity)
            self._refuse_shared(collection)
            profile, origin = self._resolve(target)
            known = store.collection(profile.collection)
            mark = Marking(store, connection.client, profile.collection)
            is_known = (
                known is not None
                and not mark.is_doubtful
                and (known.physical, known.created_at, known.server) == identity
                and store.documents_known(profile.collection) == collection.documents
            )
            store.open_collection(
                profile.collection,
                profile.definition()
                | {
                    "descriptions": self.settings["DESCRIPTIONS"],
                    "downloads": self.settings["DOWNLOADS_SOURCE"],
                    "format": FORMAT,
                    "origin": origin,
                },
                profile.releases,
                *identity,
                present=None if is_known else ids_by_package(connection.client, collection.name),
                redated=connection.version[0] == 0,  # 0.24.1 dates a collection anew at each start
                doubtful=mark.is_doubtful,
            )
            mark.renew()
            prepare_search(connection, collection, profile.synonyms)
        return profile, collection

    def _refuse_shared(self, collection: Collection) -> None:
        """Raise UsageProblem where another collection of the store stands behind the same alias: each would
        take the other's documents for strangers."""
        for row in self.store.collections():
            here = (row.physical, row.server) == (collection.name, self.connection.identity)
            if here and row.collection != collection.alias:
                raise UsageProblem(
                    f"{collection.alias} is an alias of {collection.name}, which is the collection "
                    f"{row.collection}: fill that, or give another collection="
                )

    def _resolve(self, target: Target) -> tuple[Profile, Origin]:
        """The profile with what the store remembers of its collection (releases, and names given earlier);
        and what made the collection.

        Raises UsageProblem when something else made it: its packages would be sent out of it.
        """
        profile = target.profile
        known = self.store.collection(profile.collection)
        if target.as_made:
            if known is None:
                others = ", ".join(row.collection for row in self.store.collections()) or "none"
                raise UsageProblem(
                    f"nothing was crawled for {profile.collection!r}; the store knows {others}"
                )
            made = Profile.from_definition(known.definition)
            releases = profile.releases if target.releases_given else known.releases
            made = replace(made, collection=profile.collection, releases=releases)
            return made, origin_of(known.definition, self._listed)
        names = target.names
        if known is not None:
            reason = refusal(profile.collection, known.definition, profile, target.origin, self._listed)
            if reason is not None:
                raise UsageProblem(reason)
            if not target.releases_given:
                profile = replace(profile, releases=known.releases)
            if names:
                names = names.union(known.definition["include"])
        if names:
            profile = replace(profile, include=tuple(sorted(names)))
        return profile, target.origin

    def _listed(self) -> Mapping[str, Profile]:
        """The profiles of profiles.yaml; none when it cannot be read, for who names a profile hears of it."""
        try:
            return load_profiles(self.settings.get("PROFILES_FILE"))
        except ProfileError:
            return {}


async def _abandonable(work: Callable[[], None]) -> None:
    """Do blocking work in a thread that does not keep the program from ending (Ctrl-C while it waits)."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def resolve(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error = None
        try:
            work()
        except BaseException as problem:  # whatever it is, it belongs to whoever waits
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(resolve, error)

    threading.Thread(target=run, daemon=True).start()
    await done


def open_store(settings: Mapping[str, Any], *, of_any_pypi: bool = False, read_only: bool = False) -> Store:
    """Open the store of the settings: DATABASE_URL, else SQLite in PYF_DATA_DIR; maybe for reading only.

    Raises StoreError, also when it has the facts of another PYPI_URL, unless that does not matter.
    """
    pypi_url = None if of_any_pypi else str(settings["PYPI_URL"])
    folder = Path(settings["PYF_DATA_DIR"])
    return Store(store_url(settings), pypi_url=pypi_url, folder=folder, read_only=read_only)


def store_url(settings: Mapping[str, Any]) -> str:
    """The SQLAlchemy URL of the store."""
    file = Path(settings["PYF_DATA_DIR"]) / "store.sqlite"
    return str(settings.get("DATABASE_URL") or URL.create("sqlite", database=str(file)))


def run_lock(store: Store, spider: str) -> Lock:
    """The lock that a running spider holds."""
    return store.lock(f"spider-{spider}")
