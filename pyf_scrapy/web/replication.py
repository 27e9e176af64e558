"""A copy of the store with one request, and what happened since a cursor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.replication.client import MEDIA_TYPE
from pyf_scrapy.replication.compression import compressed
from pyf_scrapy.replication.cursors import LONGEST, Cursor
from pyf_scrapy.replication.source import Source
from pyf_scrapy.web.described import COMMON, MISSING, Responses, problem
from pyf_scrapy.web.security import Message, Receive, Scope, Send
from pyf_scrapy.web.site import Site, TheSite

router = APIRouter(tags=["replication"])

#: Seconds in which a client has to take the next piece of a stream.
_READING = 60.0

#: What a cursor looks like, for the description.
_CURSOR = (
    "^1\\.[0-9a-f]{1,32}\\.(?:-|[0-9a-f]{16})\\.[sc]\\.[0-9]{1,18}\\.[0-9]{1,18}\\.(?:-|[0-9a-f]{16})"
    "\\.(?:~|[a-z0-9-]{0,255})$"
)
_LINES: Responses = {
    **COMMON,
    **MISSING,
    200: {
        "description": "JSON lines, compressed with gzip: `head`, then pages of `project`, `gone` and "
        "`event` lines, each with a `page` line at its end that has the cursor to resume at. The last one is "
        "`done`; a stream without it was cut off.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    },
    409: problem(
        "The cursor is of another store, of an older state of it, or of other profiles: begin without one."
    ),
    429: problem("Too many requests, or streams at once; Retry-After says when again.", or_text=True),
}

Place = Annotated[
    str | None,
    Field(
        max_length=LONGEST,
        description="What the last whole page ended with; without: all",
        json_schema_extra={"pattern": _CURSOR},
    ),
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a cursor by another name would send all

    profile: str | None = Field(
        default=None,
        max_length=1_000,
        description="Profiles with commas between, each by its key or its collection; without: the whole "
        "store, where all of it is served",
    )


class Copied(_Asked):
    """What is to be copied."""

    cursor: Place = None


class Happened(_Asked):
    """What events are asked for."""

    since: Place = None
    facts: bool = Field(
        default=False, description="Whether the projects that changed follow, as they are now"
    )


@router.get("/replicate", responses=_LINES, response_class=StreamingResponse)
def replicate(site: TheSite, asked: Annotated[Copied, Query()]) -> Response:
    """All that is known of the packages of profiles, or of all projects; with a cursor what a copy lacks.

    Each project is as it was when its line was made. When the stream is `done`, those that changed since it
    began were sent again: a copy that took all lines in their order, of this and of the next stream from the
    cursor, equals the store.
    """
    return _answer(site, asked.profile, asked.cursor, lambda source, place: source.replicate(place))


@router.get("/changes", responses=_LINES, response_class=StreamingResponse)
def changes(site: TheSite, asked: Annotated[Happened, Query()]) -> Response:
    """What happened since a cursor, in the order in which it did: created, released, removed, yanked,
    unyanked, archived, quarantined, vanished, recreated, owners_changed, advisory, score_moved and others.

    The same cursor gives the same events again. With `facts` the projects that changed follow as they are
    now; the cursor then goes on for both.
    """
    return _answer(
        site, asked.profile, asked.since, lambda source, place: source.changes(place, facts=asked.facts)
    )


def _answer(
    site: Site,
    profile: str | None,
    cursor: str | None,
    lines: Callable[[Source, Cursor], Iterator[bytes]],
) -> Response:
    """Raises NotFoundError, RequestProblem, SourceReplacedError, LimitError."""
    source = _source(site, profile)
    place = source.begin() if cursor is None else source.resume(cursor)
    stream = _held(site, compressed(lines(source, place)))
    next(stream)
    headers = {"content-encoding": "gzip", "cache-control": "no-store", "vary": "accept-encoding"}
    return HeldStream(stream, headers=headers, media_type=MEDIA_TYPE)


def _source(site: Site, profile: str | None) -> Source:
    """What is copied when these profiles are asked for. Raises NotFoundError."""
    if not site.web.streams:
        raise NotFoundError("no copies are served here")
    if profile is None:
        if not site.is_whole:
            served = ",".join(site.profiles)
            raise NotFoundError(f"the whole store is not served here; give profile={served}")
        return Source(site.store)
    names = tuple(dict.fromkeys(profile.split(",")))
    return Source(site.store, [site.profile_of_key(name) for name in names], names)


class HeldStream(StreamingResponse):
    """A stream that lets go of its place as soon as it ends, however that is, and does not wait for ever for
    somebody who does not read."""

    def __init__(self, stream: Generator[bytes], **kwargs: Any) -> None:
        super().__init__(stream, **kwargs)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""

        async def sent(message: Message) -> None:
            async with asyncio.timeout(_READING):
                await send(message)

        try:
            with contextlib.suppress(TimeoutError):
                await super().__call__(scope, receive, sent)
        finally:
            # Not when the garbage is collected: until then nobody else could have the place.
            await run_in_threadpool(self._stream.close)


def _held(site: Site, pieces: Iterator[bytes]) -> Generator[bytes]:
    """The pieces, behind an empty one: then one of the places for streams is taken, until the last piece was
    sent or nobody reads any more."""
    with site.streams.taken():
        yield b""
        yield from pieces
