"""`scrapy crawl github`: facts of the repositories that packages are made in, one request for many."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace
from scrapy import Request

from pyf_scrapy.exceptions import BudgetError, FetchError, ParseError, UsageProblem
from pyf_scrapy.metadata.repositories import declared_packages
from pyf_scrapy.parsers.github_graphql import ERROR, MAX_ALIASES
from pyf_scrapy.parsers.records import RepositoryRecord
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.fetching import InlineFetch, PyPI
from pyf_scrapy.spiders.github_api import SLOT, GitHub
from pyf_scrapy.spiders.linking import Linker
from pyf_scrapy.store import RepositoryFacts
from pyf_scrapy.sync.wanted import most_wanted

logger = logging.getLogger(__name__)

#: Seconds for which a run waits until GitHub allows requests again. Without a token that is an hour for 60
#: requests: the rest is left to later runs.
PATIENCE = 3_700.0
PATIENCE_WITHOUT_TOKEN = 120.0

#: So many requests in a row without a usable answer mean that GitHub is down.
DOWN_AFTER = 12
_LONGEST_BACKOFF = 60.0  # seconds

CONTRIBUTORS_MAX_AGE = 7 * 86_400  # seconds
#: Share of REST's budget that contributors leave to others.
_RESERVE = 0.1
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class GithubSpider(EnrichmentSpider):
    """The repositories of indexed packages: each once, whatever number of packages and profiles share it.

    With a token up to 100 of them by one GraphQL query, fewer after an error, and what an answer has in part
    is used; without one by conditional REST requests, as many as GitHub allows. Then, out of what budget is
    left, who contributed. Most wanted come first, and what is known for less than GITHUB_MAX_AGE is left out,
    so that a run which was killed goes on where it was.
    """

    name = "github"
    known_arguments = EnrichmentSpider.known_arguments | {"verbose"}
    slots = ((SLOT, "GITHUB_REQUEST_DELAY"),)

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        arguments.flag("verbose", given.get("verbose"))
        url = urlsplit(str(settings["GITHUB_API_URL"]))
        if settings.get("GITHUB_TOKEN") and url.scheme != "https" and url.hostname not in _LOOPBACK:
            raise UsageProblem(
                "GITHUB_API_URL must begin with https://, or the token would be sent in the clear"
            )
        return super().check_arguments(given, settings)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        settings = self.settings
        fetch = InlineFetch(self.crawler, settings.getint("PYPI_CONCURRENCY"), lambda: self.stopping)
        self.pypi = PyPI(str(settings["PYPI_URL"]), fetch)
        token = settings.get("GITHUB_TOKEN")
        self.github = GitHub(
            str(settings["GITHUB_API_URL"]),
            token,
            fetch=fetch,
            wait=self.wait,
            store=lambda: self.session.store,
            patience=PATIENCE if token else PATIENCE_WITHOUT_TOKEN,
        )
        self.say = logger.info if arguments.flag("verbose", given.get("verbose")) else logger.debug
        self.max_age = settings.getfloat("GITHUB_MAX_AGE")
        self.backoff = settings.getfloat("PYPI_RETRY_BACKOFF")
        self._asked: set[str] = set()
        self._fruitless = 0

    async def requests(self) -> AsyncIterator[Request]:
        names = await asyncio.to_thread(self.member_names)
        self.linker = Linker(self.session.store, now=int(time.time()))
        await asyncio.to_thread(self.linker.link, names)
        asking = self._by_graphql if self.github.token else self._by_rest
        try:
            # What turns out to be dead makes the next candidate of its packages due.
            while due := await asyncio.to_thread(self._due):
                self.to_do(len(due))
                async for request in asking(due):
                    yield request
            await self._attest()
            async for request in self._contributors():
                yield request
        except BudgetError as error:
            logger.warning("%s: the rest is left to later runs%s", error, _hint(self.github.token))
        for reason, count in sorted(self.linker.problems().items()):
            self.crawler.stats.set_value(f"pyf/repositories/{reason}", count)

    def _due(self) -> list[str]:
        """The repositories that are to be asked about, most wanted first; blocking."""
        weights = self.linker.weights()
        ages = self.session.store.repository_ages(weights)
        asked_at = {key: 0 if self.one else age.fetched_at for key, age in ages.items()}
        due = most_wanted(weights, asked_at, weights, now=int(time.time()), max_age=self.max_age)
        due = [key for key in due if key not in self._asked]
        return due if self.limit is None else due[: max(0, self.limit - len(self._asked))]

    # -- with a token -----------------------------------------------------------------------------

    async def _by_graphql(self, due: Sequence[str]) -> AsyncIterator[Request]:
        queue, size = deque(due), MAX_ALIASES
        while queue:
            some = [queue.popleft() for _ in range(min(size, len(queue)))]
            try:
                batch = await self.github.batch([_split(key) for key in some])
            except (FetchError, ParseError) as error:
                await self._failed(some, error)
                if len(some) > 1:
                    queue.extendleft(reversed(some))
                    size = max(1, len(some) // 2)
                continue
            self._fruitless = 0
            # GitHub gave up on some in the middle: as many as it had are what it can do at once.
            torn = [some[index] for index, reason in batch.missing.items() if reason == ERROR]
            if torn and len(some) > 1:
                queue.extendleft(reversed(torn))
                size = max(1, len(some) // 2)
            elif torn:
                await self._give_up(torn, "; ".join(batch.errors[:1]) or "no answer about it")
            else:
                size = min(MAX_ALIASES, size * 2)
            records = {
                some[index]: replace(record, packages=declared_packages(batch.files.get(index, {})))
                for index, record in batch.records.items()
            }
            gone = {some[index]: reason for index, reason in batch.missing.items() if reason != ERROR}
            await self._take(records, gone)
            async for request in self.changed():
                yield request

    # -- without ----------------------------------------------------------------------------------

    async def _by_rest(self, due: Sequence[str]) -> AsyncIterator[Request]:
        for key in due:
            ages = await asyncio.to_thread(self.session.store.repository_ages, [key])
            etag = ages[key].etag if key in ages and ages[key].key == key else None
            try:
                answer = await self.github.repository(*_split(key), etag)
            except (FetchError, ParseError) as error:
                await self._failed([key], error)
                continue
            self._fruitless = 0
            if answer.record is not None:
                await self._take({key: answer.record}, {}, etag=answer.etag)
            elif answer.state == "ok":
                self.count("pyf/repositories/unchanged")
                await self._take({}, {key: "ok"})
            else:
                await self._take({}, {key: answer.state})
            async for request in self.changed():
                yield request

    # -- both -------------------------------------------------------------------------------------

    async def _take(
        self, records: Mapping[str, RepositoryRecord], others: Mapping[str, str], etag: str | None = None
    ) -> None:
        """Store answers: `records` by the key asked for, `others`: the states of those without a record."""
        keys = [*records, *others]
        self._asked.update(keys)
        self.count("pyf/projects/done", len(keys))
        self.count("pyf/repositories/fetched", len(records))
        for key in keys:
            self.say("%s: %s", key, _said(records[key]) if key in records else others[key])
        await asyncio.to_thread(self._save, records, others, etag)

    def _save(
        self, records: Mapping[str, RepositoryRecord], others: Mapping[str, str], etag: str | None
    ) -> None:
        store, now = self.session.store, int(time.time())
        facts = []
        for key, record in records.items():
            present = f"github.com/{record.owner}/{record.name}".lower()
            if present != key:
                self.crawler.stats.inc_value("pyf/repositories/renamed")
                store.rename(key, present, now)
            facts.append(
                RepositoryFacts(present, "ok", now, etag=etag, node_id=record.node_id, record=record)
            )
        facts += [RepositoryFacts(key, state, now) for key, state in others.items()]  # type: ignore[arg-type]
        store.save_repositories(facts)
        names = self.linker.packages_of([*records, *others])
        self.linker.save(names)
        store.clear_failures(names, "github")

    async def _failed(self, keys: Sequence[str], error: FetchError | ParseError) -> None:
        """An answer that is no use. Raises the error when it is not about these repositories."""
        if isinstance(error, BudgetError) or self.stopping:
            raise error
        if type(error) is not FetchError and not isinstance(error, ParseError):
            raise error
        self._fruitless += 1
        self.say("%d repositories: %s", len(keys), error)
        if self._fruitless >= DOWN_AFTER:
            raise FetchError(f"GitHub does not answer ({error}): run the same command later")
        if len(keys) == 1:
            await self._give_up(keys, str(error))
        await self.wait(min(self.backoff * 2 ** (self._fruitless - 1), _LONGEST_BACKOFF))

    async def _give_up(self, keys: Iterable[str], reason: str) -> None:
        """Note that nothing was learnt about repositories; what is known stays."""
        keys = list(keys)
        self._asked.update(keys)
        self.count("pyf/projects/done", len(keys))
        for name in self.linker.packages_of(keys):
            self.count("pyf/packages/failed")
            await self.session.fail(name, "github", reason)

    async def _attest(self) -> None:
        """Ask PyPI who published the latest releases whose repository is only claimed: once per release."""
        unproven = await asyncio.to_thread(self.linker.unproven)
        silent = 0
        for start in range(0, len(unproven), 50):
            some = unproven[start : start + 50]
            answers = await asyncio.gather(
                *(self.pypi.provenance(*file) for _, file in some), return_exceptions=True
            )
            for (name, file), answer in zip(some, answers, strict=True):
                if isinstance(answer, tuple):
                    self.count("pyf/provenance/asked")
                    self.linker.attested(name, file[1], answer)
                elif isinstance(answer, FetchError | ParseError):
                    silent += 1
                else:
                    raise answer
            await asyncio.to_thread(self.linker.save, [name for name, _ in some])
            if silent >= 50:
                logger.warning(
                    "%s does not tell who published files; asked again by the next run", self.pypi.base
                )
                return

    async def _contributors(self) -> AsyncIterator[Request]:
        """The slow lane: as long as REST's budget lasts, less what others may need."""
        store = self.session.store
        weights = self.linker.weights(alive=True)
        ages = await asyncio.to_thread(store.repository_ages, weights)
        asked_at = {key: age.contributors_at for key, age in ages.items() if age.contributors_at is not None}
        alive = [key for key, age in ages.items() if age.state == "ok" and age.key == key]
        for key in most_wanted(alive, asked_at, weights, now=int(time.time()), max_age=CONTRIBUTORS_MAX_AGE):
            github = self.github
            if github.left is not None and github.left <= (github.limit or 60) * _RESERVE:
                logger.info("GitHub's budget is spent but for a reserve: contributors go on in the next run")
                return
            try:
                found = await github.contributors(*_split(key))
            except (FetchError, ParseError) as error:
                await self._contributors_failed(key, error)
                continue
            self._fruitless = 0
            self.count("pyf/repositories/contributors")
            facts = RepositoryFacts(
                key, "ok", ages[key].fetched_at, contributors=found, contributors_at=int(time.time())
            )
            await asyncio.to_thread(store.save_repositories, [facts])
            async for request in self.changed():
                yield request

    async def _contributors_failed(self, key: str, error: FetchError | ParseError) -> None:
        """Nobody misses them much: the next run asks again."""
        if isinstance(error, BudgetError) or self.stopping:
            raise error
        self._fruitless += 1
        self.say("contributors of %s: %s", key, error)
        if self._fruitless >= DOWN_AFTER:
            raise FetchError(f"GitHub does not answer ({error}): run the same command later")
        await self.wait(min(self.backoff * 2 ** (self._fruitless - 1), _LONGEST_BACKOFF))


def _split(key: str) -> tuple[str, str]:
    """Owner and name of a key of GitHub's."""
    _, owner, name = key.split("/", 2)
    return owner, name


def _said(record: RepositoryRecord) -> str:
    return f"{record.owner}/{record.name}, {record.stars} stars" + (", archived" if record.archived else "")


def _hint(token: str | None) -> str:
    return "" if token else "; with GITHUB_TOKEN it is 5,000 an hour"
