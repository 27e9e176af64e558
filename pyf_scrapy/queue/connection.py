"""The Redis (or Valkey) server of the settings: where it is, and a client that never blocks for long."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pyf_scrapy.exceptions import UsageProblem

if TYPE_CHECKING:
    import redis.asyncio
    from redis import Redis

T = TypeVar("T", bound="Redis | redis.asyncio.Redis")

_CONNECT_TIMEOUT: Final = 2.0  # seconds
_ANSWER_TIMEOUT: Final = 5.0  # seconds
_SCHEMES: Final = ("redis", "rediss", "unix")
_PORT: Final = 6379
_DATABASE: Final = re.compile(r"/?|/[0-9]+")
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


def redis_url(settings: Mapping[str, Any]) -> str | None:
    """The URL of `REDIS_URL`, else of `REDIS_HOST` (HOST, HOST:PORT or a URL), None when neither is set.

    pyf.aggregator used REDIS_HOST as a URL while its README showed HOST:PORT: both mean what they say here.
    Raises UsageProblem.
    """
    if url := str(settings.get("REDIS_URL") or "").strip():
        return _checked("REDIS_URL", url)
    text = str(settings.get("REDIS_HOST") or "").strip()
    if not text:
        return None
    return _checked("REDIS_HOST", text if "://" in text else _url_of_host(text))


def shown(url: str) -> str:
    """The URL as it may be logged: without user, password and options, which may be a password too."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{parts.port or _PORT}{parts.path}"


def connect(url: str) -> Redis:
    """A client of the server, safe in threads; nothing is sent yet. Close it.

    A call fails after seconds instead of being repeated: redis-py tries ten times by default.
    Raises UsageProblem when the URL has options that no client has.
    """
    from redis import Redis  # takes 0.2 s, and every command imports this module
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return _client(Redis.from_url, url, Retry(NoBackoff(), 0), _ANSWER_TIMEOUT)


def connect_async(url: str, answer_timeout: float = _ANSWER_TIMEOUT) -> redis.asyncio.Redis:
    """The same for an event loop, which it never blocks; a call fails after `answer_timeout` seconds, and is
    repeated once, at once: its connection may be older than the server.
    """
    import redis.asyncio
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return _client(redis.asyncio.Redis.from_url, url, Retry(NoBackoff(), 1), answer_timeout)


def _client(from_url: Callable[..., T], url: str, retry: object, answer_timeout: float) -> T:
    try:
        client = from_url(
            url,
            socket_connect_timeout=min(_CONNECT_TIMEOUT, answer_timeout),
            socket_timeout=answer_timeout,
            retry=retry,
            protocol=2,  # every server speaks it
        )
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # unknown options show only now
    except (TypeError, ValueError):  # its text may hold the password
        raise UsageProblem(
            "REDIS_URL has an option that is not known or has a wrong value; "
            "for example redis://localhost:6379/0?socket_timeout=5"
        ) from None
    return client


def _checked(name: str, url: str) -> str:
    """`url` when it is one; never shown, since a password that is not quoted could stand anywhere in it."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            usable = bool(parts.path)
        else:  # redis-py takes a database that is no number for 0
            usable = bool(parts.hostname) and parts.port != 0 and bool(_DATABASE.fullmatch(parts.path))
    except ValueError:  # its brackets or its port
        usable = False
    if not usable or parts.scheme not in _SCHEMES or parts.fragment or not url.isprintable():
        raise UsageProblem(
            f"{name} is not the URL of a server: write redis://HOST:PORT/NUMBER, rediss:// for TLS, or "
            "unix:///PATH; quote what is special in a password (%40 for @)"
        )
    return url


def _url_of_host(text: str) -> str:
    """The URL of HOST or HOST:PORT; an IPv6 address needs brackets only before a port."""
    if _is_ipv6(text):
        return f"redis://[{text}]:{_PORT}/0"
    match = _HOST_AND_PORT.fullmatch(text)
    host, port = match.groups() if match else ("", None)
    is_host = _is_ipv6(host[1:-1]) if host.startswith("[") else bool(host)
    if not is_host or not 0 < int(port or _PORT) < 65_536:
        value = f"={text[:100]!r}" if "@" not in text else ""  # what stands before an @ may be a password
        raise UsageProblem(f"REDIS_HOST{value} must be HOST or HOST:PORT; all else belongs in REDIS_URL")
    return f"redis://{host}:{port or _PORT}/0"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
