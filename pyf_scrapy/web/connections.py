"""Connections that cost nothing to hold, and therefore end: those that send or read nothing, or too slowly.

uvicorn takes a class for the setting `http`, and has no such bounds itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from operator import itemgetter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_places = count()


class Connection(H11Protocol):
    """A connection that ends when a request does not arrive, or an answer is not read.

    When there are too many, one of the address that has most of them makes room: the one that has waited
    longest for a request. Where all are being answered, the new one is ended. What comes before an answer is
    bounded by h11.
    """

    #: connections at the same time; each needs a file descriptor
    most = 500
    #: seconds in which a request has to arrive whole, from the connection or its first byte on
    arriving = 20.0
    #: seconds in which a client has to read some of what is left of an answer
    reading = 60.0

    _timer: asyncio.TimerHandle | None = None
    _left: asyncio.TimerHandle | None = None
    #: its place among all that wait for a request, the lowest has waited longest; None = one is answered
    place: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._await_request()
        if self.conn.their_state is not h11.IDLE:
            self.place = None

    def on_response_complete(self) -> None:
        """Called by uvicorn when the last byte of an answer is handed to the transport."""
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next request was there already
            self.place = next(_places)
        if self._left is not None:
            self._left.cancel()  # there is more to read now
        self._watch_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end_timer()
        if self._left is not None:
            self._left.cancel()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        self.place = next(_places)
        self._timer = self.loop.call_later(self.arriving, self.transport.abort)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        open_ones = [one for one in self.connections if isinstance(one, Connection)]
        of_address = Counter(one.address for one in open_ones)
        waiting = [
            (of_address[one.address], -one.place, one)
            for one in open_ones
            if one.place is not None and one is not self
        ]
        given_up = max(waiting, key=itemgetter(0, 1), default=(0, 0, self))[2]
        given_up.connections.discard(given_up)  # at once, not when the loop comes to it
        given_up.transport.abort()

    @property
    def address(self) -> str:
        """Where it comes from, without the port."""
        return self.client[0] if self.client is not None else ""

    def _watch_reading(self) -> None:
        """Look now and then whether what is left of an answer gets less; if not, end the connection."""
        left = self.transport.get_write_buffer_size()
        self._left = self.loop.call_later(self.reading, self._look, left) if left else None

    def _look(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_reading()
