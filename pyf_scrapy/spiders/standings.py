"""What PyPI says of a package beside its serial: asked for, and noted."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from pyf_scrapy.parsers.simple_index import parse_simple_page
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.asking import Ask
from pyf_scrapy.spiders.fetching import PyPI, etag_of
from pyf_scrapy.store import ACTIVE, PageSaid, Verified


class Seen(NamedTuple):
    """`changed`: the stored package has a new revision; `newer` is the page's serial if it is above the
    stored one, None else."""

    changed: bool
    newer: int | None = None


class Standings:
    """Reads the Simple pages of packages, which alone tell whether a project is archived (PEP 792)."""

    def __init__(self, session: Session, pypi: PyPI) -> None:
        self.session = session
        self.pypi = pypi

    async def verify(self, ask: Ask, project_etag: str | None) -> Seen:
        """Note what the page says; `project_etag` is that of the project's JSON, which was read before.

        A page that is gone says nothing. Raises FetchError, ParseError, StoreError.
        """
        store, name = self.session.store, ask.name
        response = await self.pypi.simple_answer(name, ask.page_etag)
        if response.status == 404:
            return Seen(changed=False)
        page = None if response.status == 304 else parse_simple_page(response.body)
        before = await asyncio.to_thread(store.project, name)
        if before is None:
            return Seen(changed=False)
        serial = page.serial if page is not None and page.serial is not None else before.serial
        if before.status != ACTIVE or serial < before.serial:
            return Seen(changed=False)  # gone meanwhile; or older than what is known, which tells nothing
        said = PageSaid(page.status, page.status_reason, etag_of(response)) if page is not None else None
        await self.session.writer.verify(
            Verified(name, int(time.time()), said, ask.etag if project_etag is None else project_etag)
        )
        after = await asyncio.to_thread(store.revisions, [name])
        return Seen(after.get(name) != before.revision, serial if serial > before.serial else None)
