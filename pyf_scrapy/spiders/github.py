"""`scrapy crawl github`: facts of the repositories that packages are made in, one request for many."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec.structs import replace
from scrapy import Request

from pyf_scrapy.exceptions import BudgetError, FetchError, ParseError
from pyf_scrapy.metadata.repositories import declared_packages
from pyf_scrapy.parsers.github_graphql import ERROR, MAX_ALIASES, Batch
from pyf_scrapy.parsers.records import RepositoryRecord
from pyf_scrapy.spiders.github_slow import SlowGithubSpider, split
from pyf_scrapy.spiders.linking import Linker
from pyf_scrapy.spiders.store_spider import Wording
from pyf_scrapy.store import RepositoryFacts
from pyf_scrapy.store.database import chunks
from pyf_scrapy.sync.batches import BatchSize
from pyf_scrapy.sync.wanted import most_wanted

logger = logging.getLogger(__name__)

#: How often one repository is asked about alone, in vain, before the others' turn and after it.
_TRIES = 3
_LINKED = 200  # packages between two looks at whether the crawl stops


class GithubSpider(SlowGithubSpider):
    """The repositories of indexed packages: each once, whatever number of packages and profiles share it.

    With a token up to 100 of them by one GraphQL query, fewer after an error, and what an answer has in part
    is used; without one by conditional REST requests, as many as GitHub allows. Then, out of what budget is
    left, who contributed. Most wanted come first, and what is known for less than GITHUB_MAX_AGE is left out,
    so that a run which was killed goes on where it was.
    """

    name = "github"
    wording = Wording("Reading the store", "Asking GitHub", "repositories asked about")

    async def requests(self) -> AsyncIterator[Request]:
        self.max_age = self.settings.getfloat("GITHUB_MAX_AGE")
        #: what this run asked about, and under which names it was answered: none of them is asked about again
        self._asked: set[str] = set()
        self._answered: set[str] = set()
        await self._link(await asyncio.to_thread(self.member_names))
        try:
            # What turns out to be dead makes the next candidate of its packages due.
            while due := await asyncio.to_thread(self._due):
                self.to_do(len(due))
                async for request in self._by_graphql(due) if self.github.token else self._by_rest(due):
                    yield request
            await self.attest()
            async for request in self.contributors():
                yield request
        except BudgetError as error:
            self.count("pyf/repositories/postponed")
            hint = "" if self.github.token else "; with GITHUB_TOKEN it is 5,000 requests an hour"
            logger.warning("%s: the rest is left to later runs%s", error, hint)
        for reason, count in sorted((await asyncio.to_thread(self.linker.problems)).items()):
            self.crawler.stats.set_value(f"pyf/repositories/{reason}", count)

    async def _link(self, names: Sequence[str]) -> None:
        self.linker = Linker(self.session.store, now=int(time.time()))
        for some in chunks(names, _LINKED):
            if self.stopping:
                raise FetchError("the crawl is stopping", transport=True)
            await asyncio.to_thread(self.linker.link, some)
        for name, reason in self.linker.unreadable.items():
            self.count("pyf/packages/failed")
            await self.session.fail(name, "github", reason)

    def _due(self) -> list[str]:
        """The repositories that are to be asked about, most wanted first; blocking."""
        weights, now = self.linker.weights(), int(time.time())
        asked_at = {}
        for key, age in self.session.store.repository_ages(weights).items():
            # One that failed is due again, after those that nobody asked about yet.
            failed = age.state == "unavailable"
            asked_at[key] = 0 if self.one else min(age.fetched_at, now - int(failed and self.max_age + 1))
        due = most_wanted(weights, asked_at, weights, now=now, max_age=self.max_age)
        due = [key for key in due if key not in self._asked and key not in self._answered]
        return due if self.limit is None else due[: max(0, self.limit - len(self._asked))]

    # -- with a token -----------------------------------------------------------------------------

    async def _by_graphql(self, due: Sequence[str]) -> AsyncIterator[Request]:
        queue, alone = deque(due), deque[str]()  # alone: those that failed, after all others
        tries: Counter[str] = Counter()
        size = BatchSize(MAX_ALIASES)
        while queue or alone:
            some = [queue.popleft() for _ in range(min(size.now, len(queue)))] or [alone.popleft()]
            try:
                batch = await self.github.batch([split(key) for key in some])
            except (FetchError, ParseError) as error:
                await self.fruitless(f"{len(some)} repositories", error)
                torn, reason = some, str(error)
            else:
                self.fruitful()
                # GitHub gave up on these in the middle, or has an error of its own for them.
                torn = [some[index] for index, state in batch.missing.items() if state == ERROR]
                reason = next(iter(batch.errors), "no answer about it")
                await self._take_batch(some, batch)
            if not torn:
                size.worked()
            elif len(some) > 1:
                queue.extendleft(reversed(torn))
                size.failed(len(some))
            else:
                tries.update(torn)
                if tries[torn[0]] < _TRIES:
                    alone.extend(torn)
                else:
                    await self._give_up(torn[0], reason)
            async for request in self.changed():
                yield request

    async def _take_batch(self, some: Sequence[str], batch: Batch) -> None:
        gone = {some[index]: state for index, state in batch.missing.items() if state != ERROR}

        def named() -> dict[str, RepositoryRecord]:  # reads project files: up to seconds for 100 large ones
            return {
                some[index]: replace(record, packages=declared_packages(batch.files.get(index, {})))
                for index, record in batch.records.items()
            }

        await self._take(await asyncio.to_thread(named), gone)

    # -- without ----------------------------------------------------------------------------------

    async def _by_rest(self, due: Sequence[str]) -> AsyncIterator[Request]:
        queue = deque(due)
        tries: Counter[str] = Counter()
        while queue:
            key = queue.popleft()
            ages = await asyncio.to_thread(self.session.store.repository_ages, [key])
            etag = ages[key].etag if key in ages and ages[key].key == key else None
            try:
                answer = await self.github.repository(*split(key), etag)
            except (FetchError, ParseError) as error:
                await self.fruitless(key, error)
                tries[key] += 1
                if tries[key] < _TRIES:
                    queue.append(key)
                else:
                    await self._give_up(key, str(error))
                continue
            self.fruitful()
            if answer.record is not None:
                await self._take({key: answer.record}, {}, etag=answer.etag)
            else:
                self.count("pyf/repositories/unchanged", answer.state == "ok")
                await self._take({}, {key: answer.state})
            async for request in self.changed():
                yield request

    # -- both -------------------------------------------------------------------------------------

    async def _take(
        self, records: Mapping[str, RepositoryRecord], others: Mapping[str, str], etag: str | None = None
    ) -> None:
        """Store answers: `records` by the key asked for, `others`: the states of those without a record."""
        keys = [*records, *others]
        present = {key: f"github.com/{record.owner}/{record.name}".lower() for key, record in records.items()}
        self._asked.update(keys)
        self._answered.update(present.values())
        self.count("pyf/projects/done", len(keys))
        self.count("pyf/repositories/fetched", len(records))
        self.count("pyf/repositories/renamed", sum(key != now for key, now in present.items()))
        for key in keys:
            self.say("%s: %s", key, _said(records[key]) if key in records else others[key])
        await asyncio.to_thread(self._save, records, present, others, etag)

    def _save(
        self,
        records: Mapping[str, RepositoryRecord],
        present: Mapping[str, str],
        others: Mapping[str, str],
        etag: str | None,
    ) -> None:
        store, now = self.session.store, int(time.time())
        facts = []
        for key, record in records.items():
            if present[key] != key:
                store.rename(key, present[key], now)
            facts.append(
                RepositoryFacts(present[key], "ok", now, etag=etag, node_id=record.node_id, record=record)
            )
        facts += [RepositoryFacts(key, state, now) for key, state in others.items()]  # type: ignore[arg-type]
        store.save_repositories(facts)
        names = self.linker.packages_of([*records, *others])
        self.linker.save(names)
        store.clear_failures(names, "github")

    async def _give_up(self, key: str, reason: str) -> None:
        """Note that nothing was learnt about a repository; what is known stays. The next run asks again."""
        self._asked.add(key)
        self.count("pyf/projects/done")
        await asyncio.to_thread(self._save_failure, key)
        for name in self.linker.packages_of([key]):
            self.count("pyf/packages/failed")
            await self.session.fail(name, "github", reason)

    def _save_failure(self, key: str) -> None:
        store, now = self.session.store, int(time.time())
        ages = store.repository_ages([key])
        if key not in ages or ages[key].state == "unavailable":
            store.save_repositories([RepositoryFacts(key, "unavailable", now)])
            self.linker.save(self.linker.packages_of([key]))


def _said(record: RepositoryRecord) -> str:
    return f"{record.owner}/{record.name}, {record.stars} stars" + (", archived" if record.archived else "")
