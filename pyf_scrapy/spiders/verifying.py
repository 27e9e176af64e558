"""What PyPI says of a package beside its serial: asked for, and noted."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from pyf_scrapy.exceptions import FetchError, ParseError
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


class Verifier:
    """Reads the Simple pages of packages, which alone tell whether a project is archived (PEP 792)."""

    def __init__(self, session: Session, pypi: PyPI) -> None:
        self.session = session
        self.pypi = pypi

    async def verify(self, ask: Ask) -> Seen:
        """Note what the page says; the project's JSON was read before.

        A page that cannot be read, is gone, or is older than what is stored says nothing: that is noted as a
        failure, so that this package does not stand before all others in the next share. Raises StoreError.
        """
        store, name = self.session.store, ask.name
        try:
            # Not that of the start of the run: what was known of the page may have been forgotten since then.
            known = await asyncio.to_thread(store.standings, [name])
            response = await self.pypi.simple_answer(name, known[name].page_etag)
            if response.status == 404:
                raise FetchError("its Simple page is a 404")
            page = None if response.status == 304 else parse_simple_page(response.body)
        except (FetchError, ParseError) as error:
            await self.session.fail(name, "refresh", f"its page was not read: {error}")
            return Seen(changed=False)
        before = await asyncio.to_thread(store.project, name)
        if before is None:
            return Seen(changed=False)
        serial = page.serial if page is not None and page.serial is not None else before.serial
        if before.status != ACTIVE:
            return Seen(changed=False)
        if serial < before.serial:
            await self.session.fail(name, "refresh", "its page, from a cache, is older than what is stored")
            return Seen(changed=False)
        said = PageSaid(page.status, page.status_reason, etag_of(response)) if page is not None else None
        changed = await self.session.writer.verify(Verified(name, int(time.time()), said))
        await self.session.writer.clear([name], "refresh")
        return Seen(changed, serial if serial > before.serial else None)
