"""A program that asks an ASGI application, without a network between."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Each request runs on an event loop of its own. `address` is where they come from."""

    def __init__(
        self, app: FastAPI, *, base_url: str = "http://localhost", address: str = "127.0.0.1"
    ) -> None:
        self.app = app
        self._base_url = base_url
        self._address = address

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a GET, an error of the application too."""
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to any request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self._address, 1))
            async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())
