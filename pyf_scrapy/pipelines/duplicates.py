"""Makes the documents and keeps back those that the index already has."""

from __future__ import annotations

import asyncio

from scrapy.crawler import Crawler

from pyf_scrapy.items import CollectionChange, PackageItem
from pyf_scrapy.pipelines import session_of
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.documents import document_hash, documents


class DuplicatesPipeline:
    """Sets `changes`: for each collection the documents that differ from what was last sent, and the ids
    that have to go."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.session = session_of(crawler)
        self.all_texts = crawler.settings["DESCRIPTIONS"] == "all"

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DuplicatesPipeline:
        return cls(crawler)

    async def process_item(self, item: PackageItem) -> PackageItem:
        store = self.session.store
        for profile in self.session.profiles:
            if profile.key not in item.profiles and profile.key not in item.leaving:
                continue
            collection = profile.collection
            indexed = await asyncio.to_thread(store.indexed, collection, [item.normalized_name])
            known = indexed.get(item.normalized_name)
            change = self.change(item, profile, known.hashes if known is not None else {})
            self.crawler.stats.inc_value(
                "pyf/duplicates/unchanged", len(change.hashes) - len(change.documents)
            )
            item.changes[collection] = change
        return item

    def change(self, item: PackageItem, profile: Profile, before: dict[str, bytes]) -> CollectionChange:
        """What sending `item` to the collection of `profile` means when it holds `before`."""
        wanted = (
            documents(item, profile, self.session.now, all_texts=self.all_texts)
            if profile.key in item.profiles
            else []
        )
        hashes = {document["id"]: document_hash(document) for document in wanted}
        return CollectionChange(
            documents=[d for d in wanted if before.get(d["id"]) != hashes[d["id"]]],
            deleted=[known for known in before if known not in hashes],
            hashes=hashes,
            before=before,
        )
