"""The server under the application: uvicorn, in this process, until it is interrupted."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.connections import Connection
from pyf_scrapy.web.security import MAX_TARGET
from pyf_scrapy.web.site import Site

_LAST_SECONDS = 5  # for answers that are under way when it is to end
_IDLE = 15  # seconds in which a connection is kept after an answer
_MOST_HEADERS = 20_000  # bytes


class Server(uvicorn.Server):
    """A server whose end by a signal is no error: uvicorn's own raises the signal again when all is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGINT and SIGTERM, a second one at once."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def configuration(site: Site, host: str) -> uvicorn.Config:
    """How a site is served that is bound to `host`. Headers of proxies count only where they are named."""
    proxies = site.web.proxies
    return uvicorn.Config(
        create_app(site, host=host),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        server_header=False,
        access_log=False,
        log_config=None,
        http=Connection,
        h11_max_incomplete_event_size=MAX_TARGET + _MOST_HEADERS,
        ws="none",
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_LAST_SECONDS,
        lifespan="on",
    )


def serve(site: Site, host: str, port: int, *, said: Callable[[str], None]) -> None:
    """Serve a site until SIGINT or SIGTERM; `said` gets the line that tells where.

    Raises PyfError when the address cannot be bound.
    """
    try:
        listening = bound(host, port)
    except OSError as error:
        raise PyfError(f"cannot serve at {host} port {port}: {error.strerror or error}") from error
    with listening:
        shown = f"[{host}]" if ":" in host else host
        said(f"Serving {', '.join(site.profiles)} at http://{shown}:{listening.getsockname()[1]}/")
        Server(configuration(site, host)).run(sockets=[listening])


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 = any free one. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
