"""What the application serves: the collections of a store, searched with a key that may do nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typesense
from fastapi import Depends, Request
from typesense.exceptions import RequestUnauthorized

from pyf_scrapy.exceptions import NotFoundError, SearchError, UsageProblem
from pyf_scrapy.lookup import maker
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.calls import get, path
from pyf_scrapy.search.connection import Connection, TypesenseSettings, connect
from pyf_scrapy.search.keys import derived_search_key
from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store
from pyf_scrapy.store import Store
from pyf_scrapy.web.security import Slots, WebSettings

T = TypeVar("T")

#: Seconds in which the search server has to answer somebody who waits for a page.
_PATIENCE = 10.0


class SearchOnly:
    """The search server, asked with a search-only key, which is made when it is first needed.

    One that was started again, maybe at another port, is found again. Its methods may be called from any
    thread.
    """

    def __init__(self, connection: Connection, collections: tuple[str, ...]) -> None:
        self._connection = connection
        self._collections = collections
        self._lock = threading.Lock()
        self._made: tuple[typesense.Client, typesense.Client] | None = None

    def __call__(self, operation: Callable[[typesense.Client], T]) -> T:
        """Return `operation(client)`, which may be done twice. Raises SearchError, and what it raises."""
        try:
            return self._connection.retried(lambda admin: operation(self._client(admin)))
        except SearchError as error:
            if not isinstance(error.__cause__, RequestUnauthorized):
                raise
            self._made = None  # somebody has deleted the key
        return self._connection.retried(lambda admin: operation(self._client(admin)))

    def _client(self, admin: typesense.Client) -> typesense.Client:
        made = self._made
        if made is not None and made[0] is admin:
            return made[1]
        with self._lock:
            if self._made is None or self._made[0] is not admin:
                key = derived_search_key(admin, self._collections, "scrapy serve", now=int(time.time()))
                self._made = admin, self._connection.client_with(key, _PATIENCE)
            return self._made[1]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """All that a request may use. `profiles`: by the name in URLs, which is that of the collection; the first
    is shown where none is named. `settings` are the project's, `web` those of the application. `store` is for
    reading. `now` gives the time (UTC). `is_whole`: all collections of the store are served, not some that
    were chosen."""

    profiles: Mapping[str, Profile]
    store: Store
    search: SearchOnly
    settings: Mapping[str, Any]
    web: WebSettings
    now: Callable[[], datetime] = _utc_now
    is_whole: bool = True
    #: what streams at the same time: a copy of the store, say
    streams: Slots = field(default_factory=Slots)

    def profile(self, name: str) -> Profile:
        """A profile of the site. Raises NotFoundError."""
        try:
            return self.profiles[name]
        except KeyError:
            raise NotFoundError(
                f"there is no profile {name[:100]!r} here; there is: {', '.join(self.profiles)}"
            ) from None

    def profile_of_key(self, key: str) -> Profile:
        """The profile of a key of profiles.yaml, whose collection may have another name; else that of the
        collection of this name. Raises NotFoundError."""
        named = [profile for profile in self.profiles.values() if profile.key == key]
        if not named or any(profile.collection == key for profile in named):
            return self.profile(key)
        return named[0]

    @property
    def data_dir(self) -> Path:
        return Path(self.settings["PYF_DATA_DIR"])


@contextmanager
def opened_site(
    settings: Mapping[str, Any],
    listed: Mapping[str, Profile],
    only: tuple[str, ...] = (),
    *,
    now: Callable[[], datetime] = _utc_now,
) -> Iterator[Site]:
    """The site of a data folder, for `with`. `listed` are the profiles of profiles.yaml, by key; `only` names
    the collections to serve, none = all that are filled.

    Raises SearchError, StoreError; UsageProblem where there is nothing to serve: it names the command that
    fills it.
    """
    if not has_store(settings):
        raise UsageProblem(f"there is nothing to serve yet; {_start(only, listed)}")
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings, of_any_pypi=True, read_only=True))
        connection = stack.enter_context(connect(TypesenseSettings.from_settings(settings)))
        profiles = _served(store, connection.client, listed, only)
        if not profiles:
            raise UsageProblem(f"there is nothing to serve yet; {_start(only, listed)}")
        web = WebSettings.from_settings(settings)
        search = SearchOnly(connection, tuple(profiles))
        yield Site(profiles, store, search, settings, web, now, not only, Slots(web.streams))


def _served(
    store: Store, client: typesense.Client, listed: Mapping[str, Profile], only: tuple[str, ...]
) -> dict[str, Profile]:
    """The collections of the store that the search server has: in the order of profiles.yaml, others last."""
    order = {profile.collection: place for place, profile in enumerate(listed.values())}
    rows = {row.collection: row for row in store.collections()}
    served = {}
    for name in only or sorted(rows, key=lambda name: (order.get(name, len(order)), name)):
        if name not in rows or get(client, path("collections", name)) is None:
            if only:
                raise SearchError(f"there is no collection {name!r} yet; {_start((name,), listed)}")
            continue
        served[name] = Profile.from_definition(rows[name].definition)
    return served


def _start(only: tuple[str, ...], listed: Mapping[str, Profile]) -> str:
    return f"make it: {maker(only[0], listed.values()) if only else 'scrapy crawl pypi -a profile=PROFILE'}"


async def site_of(request: Request) -> Site:
    """The site of the application that a request came to; a function that is no coroutine needs a thread."""
    site: Site = request.app.state.site
    return site


#: The type of a route's parameter that gets the site.
TheSite = Annotated[Site, Depends(site_of)]
