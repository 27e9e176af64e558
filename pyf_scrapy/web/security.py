"""What keeps the application safe: headers, hosts, and how much one client may ask for."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pyf_scrapy.exceptions import LimitError, UsageProblem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Bytes of path and query together: the API takes a hundred names or addresses of repositories.
MAX_TARGET = 60_000
#: Seconds of allowance that a client may have saved up.
_BURST = 5.0
_MOST_CLIENTS = 10_000
#: The hosts of a browser on this machine. A page of a stranger's name that leads here is refused.
_LOCAL = ("localhost", "127.0.0.1", "[::1]")

#: The methods of what is only shown.
READING = ["GET", "HEAD"]

#: Nothing of another origin is loaded, framed or sent to, and nothing in a page may run or style itself.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True)
class WebSettings:
    """The settings SERVE_*. `url`: how others reach the application, None = as a request names it. `proxies`:
    whose X-Forwarded-For and -Proto are believed. `rate`: requests a second of one client, 0 = no limit.
    `streams`: copies at the same time."""

    url: str | None = None
    proxies: tuple[str, ...] = ()
    rate: float = 20
    streams: int = 4

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> WebSettings:
        """Read them from the project's settings. Raises UsageProblem where SERVE_URL has a path."""
        url = str(settings.get("SERVE_URL") or "").rstrip("/")
        if urlsplit(url).path:
            raise UsageProblem(
                f"SERVE_URL={url[:100]!r}: the pages stand at the root; give it without a path"
            )
        return cls(
            url=url or None,
            proxies=tuple(str(settings.get("SERVE_PROXIES") or "").replace(",", " ").split()),
            rate=float(settings["SERVE_RATE"]),
            streams=int(settings["SERVE_STREAMS"]),
        )

    def hosts(self, bound: str = "127.0.0.1") -> frozenset[str]:
        """The hosts, without port, that a request may name: this machine's, what is bound, that of `url`."""
        own = urlsplit(self.url).hostname if self.url else None
        return frozenset((*_LOCAL, *(f"[{host}]" if ":" in host else host for host in (bound, own) if host)))


class Slots:
    """So many may do something at the same time; who comes then is sent away."""

    def __init__(self, number: int = 4) -> None:
        self._free = threading.BoundedSemaphore(number)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have one of them. Raises LimitError when all are taken."""
        if not self._free.acquire(blocking=False):
            raise LimitError("as many streams as are allowed are running: try again later", retry_after=60)
        try:
            yield
        finally:
            self._free.release()


class RateLimit:
    """A token bucket for each client: `rate` requests a second, and as many as five seconds give at once.

    Clients are IPv4 addresses and /64 networks of IPv6, of which one household has very many addresses.
    `clock` gives seconds that never go back.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = max(rate * _BURST, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Count a request; 0 when it is allowed, else the seconds after which the next one will be."""
        if not self._rate:
            return 0
        client = _client(address)
        now = self._clock()
        left, at = self._buckets.pop(client, (self._most, now))
        left = min(left + (now - at) * self._rate, self._most)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left), now
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)  # who was here longest ago has a full bucket again, or nearly
        return 0 if allowed else (1 - left) / self._rate


class Guard:
    """ASGI middleware: refuses what is too long, too often or for another host, and adds the headers."""

    def __init__(self, app: App, *, settings: WebSettings, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._limit = RateLimit(settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, guarded)
            return
        status, text, more = refused
        headers = [(b"content-type", b"text/plain; charset=utf-8"), *more]
        await guarded({"type": "http.response.start", "status": status, "headers": headers})
        await guarded({"type": "http.response.body", "body": f"{text}\n".encode()})

    def _refusal(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            return 414, f"the address is longer than {MAX_TARGET} bytes", []
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if _without_port(host.lower()) not in self._hosts:
            return 400, "this application does not answer to that host; its operator sets SERVE_URL", []
        client = scope.get("client")
        wait = self._limit.wait(client[0] if client else "")
        if wait:
            seconds = str(max(1, round(wait + 0.5))).encode()
            return 429, "too many requests: wait a little", [(b"retry-after", seconds)]
        return None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) and not host.endswith("]") else host


def _client(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return address
