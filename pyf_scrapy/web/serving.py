"""The server under the application: uvicorn, in this process, until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.site import Site

_MOST_CONNECTIONS = 500
_LAST_SECONDS = 5  # for answers that are under way when it is to end
_IDLE = 15  # seconds in which a connection without a request is kept


def serve(site: Site, host: str, port: int, *, said: Callable[[str], None]) -> None:
    """Serve a site until SIGINT or SIGTERM; `said` gets the line that it is ready.

    Raises PyfError when the address cannot be bound.
    """
    try:
        listening = _bound(host, port)
    except OSError as error:
        raise PyfError(f"cannot serve at {host} port {port}: {error.strerror or error}") from error
    proxies = site.web.proxies
    config = uvicorn.Config(
        create_app(site, host=host),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies) or None,
        server_header=False,
        date_header=True,
        access_log=False,
        log_config=None,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_LAST_SECONDS,
        lifespan="off",
    )
    with listening:
        shown = f"[{host}]" if ":" in host else host
        said(f"Serving {', '.join(site.profiles)} at http://{shown}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, proto)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
