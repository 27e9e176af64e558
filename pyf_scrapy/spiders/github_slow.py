"""What `scrapy crawl github` does after repositories: who published packages, and who contributed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request, signals

from pyf_scrapy.exceptions import FetchError, ParseError, UsageProblem
from pyf_scrapy.parsers.provenance import Publisher
from pyf_scrapy.queue.rates import SharedPause
from pyf_scrapy.session import Target
from pyf_scrapy.spiders import arguments
from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.fetching import InlineFetch, PyPI
from pyf_scrapy.spiders.github_api import SLOT, GitHub, budget_name
from pyf_scrapy.spiders.linking import File, Linker
from pyf_scrapy.store import RepositoryFacts
from pyf_scrapy.sync.wanted import most_wanted

logger = logging.getLogger(__name__)

#: Seconds for which a run waits until GitHub allows requests again. Without a token that is an hour for 60
#: requests: the rest is left to later runs; and nobody waits for contributors.
PATIENCE = 3_700.0
SHORT_PATIENCE = 120.0

#: So many requests in a row without a usable answer mean that GitHub is down.
DOWN_AFTER = 12
_LONGEST_BACKOFF = 60.0  # seconds

CONTRIBUTORS_MAX_AGE = 7 * 86_400  # seconds
#: Share of REST's budget that contributors leave to others.
_RESERVE = 0.1
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ATTESTED_AT_ONCE = 50


class SlowGithubSpider(EnrichmentSpider):
    """Base of the spider: how GitHub is asked, what a failure means, and the two slow lanes."""

    known_arguments = EnrichmentSpider.known_arguments | {"verbose"}
    slots = ((SLOT, "GITHUB_REQUEST_DELAY"),)

    linker: Linker

    @classmethod
    def check_arguments(cls, given: Mapping[str, str], settings: Mapping[str, Any]) -> list[Target]:
        arguments.flag("verbose", given.get("verbose"))
        token = _token(settings)
        url = urlsplit(str(settings["GITHUB_API_URL"]))
        if token and url.scheme != "https" and url.hostname not in _LOOPBACK:
            raise UsageProblem(
                "GITHUB_API_URL must begin with https://, or the token would be sent in the clear"
            )
        return super().check_arguments(given, settings)

    def setup(self, given: Mapping[str, str], targets: list[Target]) -> None:
        super().setup(given, targets)
        settings = self.settings
        fetch = InlineFetch(self.crawler, settings.getint("PYPI_CONCURRENCY"), lambda: self.stopping)
        self.pypi = PyPI(str(settings["PYPI_URL"]), fetch)
        token = _token(settings)
        self.say = logger.info if arguments.flag("verbose", given.get("verbose")) else logger.debug
        base = str(settings["GITHUB_API_URL"])
        shared = SharedPause(settings, budget_name(base, token))
        self.crawler.signals.connect(shared.close, signal=signals.spider_closed, weak=False)
        self.github = GitHub(
            base,
            token,
            fetch=fetch,
            wait=self.wait,
            store=lambda: self.session.store,
            shared=shared,
            patience=PATIENCE if token else SHORT_PATIENCE,
            say=self.say,
        )
        self.backoff = settings.getfloat("PYPI_RETRY_BACKOFF")
        self._fruitless = 0

    def fruitful(self) -> None:
        """GitHub gave a usable answer."""
        self._fruitless = 0

    async def fruitless(self, what: str, error: FetchError | ParseError) -> None:
        """An answer was no use: wait a while. Raises the error when it is about more than what was asked,
        FetchError when GitHub seems to be down."""
        if self.stopping or not (type(error) is FetchError or isinstance(error, ParseError)):
            raise error
        self._fruitless += 1
        self.say("%s: %s", what, error)
        if self._fruitless >= DOWN_AFTER:
            raise FetchError(f"GitHub does not answer ({error}): run the same command later")
        await self.wait(min(self.backoff * 2 ** (self._fruitless - 1), _LONGEST_BACKOFF))

    async def attest(self) -> None:
        """Ask PyPI who published the latest releases whose repository is only claimed: once per release."""
        unproven = (await asyncio.to_thread(self.linker.unproven))[: self.limit]
        for start in range(0, len(unproven), _ATTESTED_AT_ONCE):
            some = unproven[start : start + _ATTESTED_AT_ONCE]
            answers = await asyncio.gather(*(self._publishers(file) for _, file in some))
            told = [name for (name, _), answer in zip(some, answers, strict=True) if answer is not None]
            for (name, file), answer in zip(some, answers, strict=True):
                if answer is not None:
                    self.linker.attested(name, file[1], answer)
            self.count("pyf/provenance/asked", len(told))
            await asyncio.to_thread(self.linker.save, told)
            if not told:
                logger.warning(
                    "%s does not tell who published files; asked again by the next run", self.pypi.base
                )
                return

    async def _publishers(self, file: File) -> tuple[Publisher, ...] | None:
        """None: the next run asks again. Raises FetchError when the crawl stops."""
        try:
            return await self.pypi.provenance(*file)
        except (FetchError, ParseError) as error:
            if self.stopping:
                raise
            self.say("who published %s: %s", file[2], error)
            return None

    async def contributors(self) -> AsyncIterator[Request]:
        """As long as REST's budget lasts, less what others may need. Raises BudgetError."""
        store, github = self.session.store, self.github
        github.patience = SHORT_PATIENCE
        weights = await asyncio.to_thread(self.linker.weights, alive=True)
        ages = await asyncio.to_thread(store.repository_ages, weights)
        asked_at = {key: age.contributors_at for key, age in ages.items() if age.contributors_at is not None}
        alive = [key for key, age in ages.items() if age.state == "ok" and age.key == key]
        due = most_wanted(alive, asked_at, weights, now=int(time.time()), max_age=CONTRIBUTORS_MAX_AGE)
        for key in due[: self.limit]:
            if github.left is not None and github.left <= (github.limit or 60) * _RESERVE:
                logger.info("GitHub's budget is spent but for a reserve: contributors go on in the next run")
                return
            try:
                found = await github.contributors(*split(key))
            except (FetchError, ParseError) as error:
                await self.fruitless(f"contributors of {key}", error)  # the next run asks again
                continue
            self.fruitful()
            self.count("pyf/repositories/contributors")
            facts = RepositoryFacts(
                key, "ok", ages[key].fetched_at, contributors=found, contributors_at=int(time.time())
            )
            await asyncio.to_thread(store.save_repositories, [facts])
            async for request in self.changed():
                yield request


def split(key: str) -> tuple[str, str]:
    """Owner and name of a key of GitHub's."""
    _, owner, name = key.split("/", 2)
    return owner, name


def _token(settings: Mapping[str, Any]) -> str | None:
    """The token without blanks around it. Raises UsageProblem when it cannot be one, without showing it."""
    token = str(settings.get("GITHUB_TOKEN") or "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageProblem("GITHUB_TOKEN must be one word of ASCII characters")
    return token or None
