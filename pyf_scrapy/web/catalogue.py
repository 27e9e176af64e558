"""The packages of a collection in memory, as their latest documents describe them: what lists are made of.

Typesense compares words, not versions, and cannot go on after a name. So lists are filtered and cut here: by
what each document says, exactly. Only packages whose documents have changed are read again; which ones is
known from the store.
"""

from __future__ import annotations

import math
import re
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

import typesense
from fastapi import Depends, Request

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.metadata.repositories import links
from pyf_scrapy.metadata.repository_urls import repository_of
from pyf_scrapy.parsers.records import Metadata
from pyf_scrapy.search.calls import searches
from pyf_scrapy.search.queries import LATEST, MAX_PER_PAGE
from pyf_scrapy.store.database import chunks
from pyf_scrapy.web.caching import FAILED, Kept
from pyf_scrapy.web.quoting import all_of, is_one_of
from pyf_scrapy.web.site import Site
from pyf_scrapy.web.specifiers import required_name

#: What a list says of a package: fields of its latest document.
SUMMARY_FIELDS = (
    "name",
    "name_normalized",
    "version",
    "summary",
    "author",
    "author_email",
    "maintainer",
    "maintainer_email",
    "keywords",
    "license",
    "license_expression",
    "requires_python",
    "framework_versions",
    "python_versions",
    "upload_timestamp",
    "yanked",
    "project_status",
    "health_score",
    "github_url",
    "github_archived",
    "github_stars",
    "download_last_month",
    "vulnerabilities",
)
#: What it is chosen by besides.
_OTHER_FIELDS = ("classifiers", "requires_dist", "project_urls", "home_page")
_BETWEEN_NAMES = re.compile("[,;]")
_ASKED_AT_ONCE = 200  # packages
_PATIENCE = 1.0  # seconds for which the store is believed not to have changed
_SHARE = 10  # reading the changes may take a tenth of the time


@dataclass(frozen=True, slots=True)
class Row:
    """One package. `shown` are its SUMMARY_FIELDS; texts to compare with are casefolded. `requires`: by
    normalized name the requirements of the latest release. `repositories`: keys ("github.com/owner/name")."""

    name: str
    shown: Mapping[str, Any]
    authors: frozenset[str]
    maintainers: frozenset[str]
    keywords: frozenset[str]
    classifiers: tuple[str, ...]
    requires_python: str
    requires: Mapping[str, tuple[str, ...]]
    repositories: frozenset[str]


@dataclass(frozen=True)
class Packages:
    """All packages of a collection at one moment, by normalized name in code point order.

    `needed_by`: which other packages name one in a requirement of their latest release; `of_repository`: the
    packages of each repository, by its key. Both have what is not empty.
    """

    by_name: Mapping[str, Row]
    names: Sequence[str] = field(default_factory=tuple)
    needed_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    of_repository: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def after(self, name: str) -> Iterator[Row]:
        """Those that follow a name, in order; "" = all."""
        for place in range(bisect_right(self.names, name), len(self.names)):
            yield self.by_name[self.names[place]]


class Catalogue:
    """The packages of the collections of a site, each read once and then kept up to date. Thread-safe.

    `patience`: seconds for which it does not look whether anything has changed. When a look failed, whoever
    asks in the next seconds gets the same error.
    """

    def __init__(self, site: Site, *, patience: float = _PATIENCE) -> None:
        self._site = site
        self._patience = patience
        self._making = threading.Lock()
        self._collections: dict[str, _Collection] = {}

    def packages(self, collection: str) -> Packages:
        """What the collection has now; the first time that takes long, unless one waited until it is `ready`.
        Raises StoreError, SearchError."""
        return self._collection(collection).packages()

    async def ready(self, collection: str) -> None:
        """Wait, without holding a thread, until the collection was read once. Raises as `packages`."""
        await self._collection(collection).first.ready()

    async def read(self) -> None:
        """Read each collection once, one after the other. What fails is tried again when it is asked for."""
        for collection in self._site.profiles:
            with suppress(PyfError):
                await self.ready(collection)

    def _collection(self, name: str) -> _Collection:
        with self._making:
            if name not in self._collections:
                self._collections[name] = _Collection(self._site, name, self._patience)
            return self._collections[name]


class _Collection:
    def __init__(self, site: Site, name: str, patience: float) -> None:
        self._site = site
        self._name = name
        self._patience = patience
        self._lock = threading.Lock()
        self._states: Mapping[str, bytes] = {}
        self._packages = Packages({})
        self._due = 0.0
        self._failed: PyfError | None = None
        self.first = Kept(self._look, math.inf)

    def packages(self) -> Packages:
        """What there is; while another thread reads what has changed, what was there before."""
        self.first()
        if time.monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        if self._failed is not None:
            raise self._failed
        return self._packages

    def _look(self) -> None:
        begun = time.monotonic()
        if begun < self._due:
            return
        try:
            self._refresh()
        except PyfError as error:
            self._failed, self._due = error, time.monotonic() + FAILED
            raise
        ended = time.monotonic()
        self._failed = None
        self._due = ended + max(self._patience, (ended - begun) * _SHARE if self._patience else 0)

    def _refresh(self) -> None:
        states = self._site.store.index_states(self._name)
        changed = [name for name, state in states.items() if self._states.get(name) != state]
        if not changed and states.keys() == self._states.keys():
            return
        found = self._site.search(lambda client: _latest_documents(client, self._name, changed))
        rows = {name: row for name, row in self._packages.by_name.items() if name in states}
        for name in changed:
            if name in found:
                rows[name] = row_of(found[name])
            else:
                rows.pop(name, None)
        before = self._packages
        different = {*changed, *(before.by_name.keys() - rows.keys())}
        self._packages = Packages(
            rows,
            sorted(rows),
            _index(before.needed_by, before.by_name, rows, different, _needs),
            _index(before.of_repository, before.by_name, rows, different, lambda row: row.repositories),
        )
        self._states = states


def _needs(row: Row) -> Iterator[str]:
    """What a package requires besides its own extras."""
    return (name for name in row.requires if name != row.name)


def _index(
    before: Mapping[str, frozenset[str]],
    old: Mapping[str, Row],
    new: Mapping[str, Row],
    different: Iterable[str],
    values: Callable[[Row], Iterable[str]],
) -> dict[str, frozenset[str]]:
    """By value the names of the rows that have it, from what that was before the `different` ones changed."""
    gone: defaultdict[str, set[str]] = defaultdict(set)
    come: defaultdict[str, set[str]] = defaultdict(set)
    for name in different:
        for rows, names in ((old, gone), (new, come)):
            if name in rows:
                for value in values(rows[name]):
                    names[value].add(name)
    index = dict(before)
    for value in gone.keys() | come.keys():
        if having := (index.get(value, frozenset()) - gone[value]) | come[value]:
            index[value] = having
        else:
            index.pop(value, None)
    return index


def _latest_documents(
    client: typesense.Client, collection: str, names: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The documents of the latest releases of packages, by normalized name."""
    found = {}
    for some in chunks(names, _ASKED_AT_ONCE):
        wanted = set(some)
        result = searches(
            client,
            [
                {
                    "collection": collection,
                    "q": "*",
                    "query_by": "name",
                    "filter_by": all_of((LATEST, is_one_of("name_normalized", some))),
                    "include_fields": ",".join((*SUMMARY_FIELDS, *_OTHER_FIELDS)),
                    "per_page": MAX_PER_PAGE,
                }
            ],
        )[0]
        documents = (hit["document"] for hit in result["hits"])
        found.update({one["name_normalized"]: one for one in documents if one["name_normalized"] in wanted})
    return found


def row_of(document: Mapping[str, Any]) -> Row:
    """The row of a package, from the document of its latest release."""
    requires: dict[str, tuple[str, ...]] = {}
    for text in document.get("requires_dist", ()):
        if name := required_name(text):
            requires[name] = (*requires.get(name, ()), text)
    return Row(
        name=document["name_normalized"],
        shown={name: document[name] for name in SUMMARY_FIELDS if document.get(name) is not None},
        authors=_people(document.get("author", ""), document.get("author_email", "")),
        maintainers=_people(document.get("maintainer", ""), document.get("maintainer_email", "")),
        keywords=frozenset(folded(word) for word in document.get("keywords", ())),
        classifiers=tuple(document.get("classifiers", ())),
        requires_python=document.get("requires_python", ""),
        requires=requires,
        repositories=frozenset(_repositories(document)),
    )


def folded(text: str) -> str:
    """A text as it is compared: without regard to case and to how much white space there is."""
    return " ".join(text.split()).casefold()


def _people(names: str, addresses: str) -> frozenset[str]:
    """What persons may be asked for by: all of the field, each name in it, each e-mail address."""
    said = {names, *_BETWEEN_NAMES.split(names), *addresses.split(",")}
    said |= {address.rpartition("<")[2].strip(" >") for address in addresses.split(",")}
    return frozenset(filter(None, map(folded, said)))


def _repositories(document: Mapping[str, Any]) -> Iterator[str]:
    """The repository that GitHub's facts are of, and the one that the package's own links name first."""
    known = repository_of(document.get("github_url") or "")
    if known is not None:
        yield known.key
    claimed = links(
        Metadata(
            name=document["name"],
            version=document["version"],
            home_page=document.get("home_page"),
            project_urls=document.get("project_urls"),
        )
    )
    if claimed:
        yield claimed[0].repository.key


async def catalogue_of(request: Request) -> Catalogue:
    """The catalogue of the application that a request came to, when it has read the collection that the
    address names, or all where it names none. Raises StoreError, SearchError."""
    catalogue: Catalogue = request.app.state.catalogue
    served = request.app.state.site.profiles
    named = request.path_params.get("profile")
    for collection in served if named is None else {named} & served.keys():
        await catalogue.ready(collection)
    return catalogue


#: The type of a route's parameter that gets the catalogue.
TheCatalogue = Annotated[Catalogue, Depends(catalogue_of)]
