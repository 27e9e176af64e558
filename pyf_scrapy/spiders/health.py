"""`scrapy crawl health`: the score of every package as of today, from the store alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from scrapy import Request

from pyf_scrapy.spiders.enriching import EnrichmentSpider
from pyf_scrapy.spiders.store_spider import Wording


class HealthSpider(EnrichmentSpider):
    """Packages grow older without any news: all of the collections are judged again. Nobody is asked; of the
    documents only those are sent that say something else than before."""

    name = "health"
    on_copy = True
    wording = Wording("Reading the store", "Judging packages", "packages judged")

    async def requests(self) -> AsyncIterator[Request]:
        names = (await asyncio.to_thread(self.member_names))[: self.limit]
        self.to_do(len(names))
        for name in names:
            if name not in self._passing_on:
                yield await self.pass_on_request(name)
            self.count("pyf/projects/done")
