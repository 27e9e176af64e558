"""An instance that is served by HTTP, and a way to it that breaks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import uvicorn

from pyf_scrapy.profiles import load_profiles
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.site import opened_site
from tests.crawling import Place


@contextmanager
def served(place: Place, **settings: object) -> Iterator[str]:
    """Serve a place by uvicorn in a thread; gives its address."""
    with opened_site(place.settings(SERVE_RATE=0, **settings), load_profiles(None)) as site:
        config = uvicorn.Config(
            create_app(site), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        with closing(socket.socket()) as listening:
            listening.bind(("127.0.0.1", 0))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()


class Breaking:
    """A TCP proxy that cuts each connection after so many bytes of the answer, as long as `cuts` are left."""

    def __init__(self, url: str) -> None:
        self.lead_to(url)
        self.cuts = 0
        self.after = 0
        self.connections = 0

    def lead_to(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._target = host, int(port)

    @contextmanager
    def running(self) -> Iterator[str]:
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=self._accept, args=(listening,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            thread.join()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            # A client that has all it wants is gone before the end.
            with suppress(OSError), client, socket.create_connection(self._target) as server:
                # Else the server keeps the connection for a while when the answer is through.
                server.sendall(client.recv(65_536).replace(b"keep-alive", b"close"))
                left = self.after if self.cuts else None
                while left != 0 and (piece := server.recv(65_536 if left is None else min(left, 65_536))):
                    client.sendall(piece)
                    left = None if left is None else left - len(piece)
                self.cuts -= self.cuts > 0
