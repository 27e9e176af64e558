"""Four places for streams are all there are: who keeps one without reading shuts out all others."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyf_scrapy.exceptions import LimitError
from pyf_scrapy.web import replication
from pyf_scrapy.web.replication import HeldStream
from pyf_scrapy.web.security import Message, Slots
from pyf_scrapy.web.site import Site

SCOPE = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "GET", "headers": []}


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 1000


@pytest.fixture
def slots() -> Iterator[Slots]:
    gc.disable()
    yield Slots(1)
    gc.enable()


def stream_of(slots: Slots) -> Generator[bytes]:
    stream = replication._held(cast(Site, SimpleNamespace(streams=slots)), endless())
    next(stream)
    with pytest.raises(LimitError), slots.taken():
        pass
    return stream


async def test_a_client_that_goes_away_frees_its_place_at_once(slots: Slots) -> None:
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        gone.set()
        await asyncio.sleep(0)

    await HeldStream(stream_of(slots))(SCOPE, receive, send)
    with slots.taken():
        pass


async def test_a_client_that_does_not_read_loses_its_place(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "_READING", 0.05)

    async def never(*_: Any) -> Any:
        await asyncio.sleep(3600)

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(HeldStream(stream_of(slots))(SCOPE, never, never), 5)
    with slots.taken():
        pass
