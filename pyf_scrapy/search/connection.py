"""The way to Typesense, embedded or external: settings, client, a second try when the embedded one died."""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import typesense
from typesense.exceptions import RequestUnauthorized, ServiceUnavailable

from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.embedded import Server, embedded_server

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CONNECT_TIMEOUT = 10.0  # seconds
_CHECK_TIMEOUT = 10.0  # seconds for the small answers of the check
_LOADING_PATIENCE = 600.0  # seconds; a server with a large index answers 503 while it loads
_NEWS = 10.0  # seconds between two lines about it
_RETRIES = (
    2  # the client repeats timeouts and 5xx, imports included; `retried` does more for the embedded one
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+\]?")


class Names(NamedTuple):
    """How the settings of a server are called."""

    host: str = "TYPESENSE_HOST"
    port: str = "TYPESENSE_PORT"
    protocol: str = "TYPESENSE_PROTOCOL"
    api_key: str = "TYPESENSE_API_KEY"


_OWN = Names()

#: The server that `scrapy collections import` reads.
IMPORTED = Names(
    "IMPORT_TYPESENSE_HOST",
    "IMPORT_TYPESENSE_PORT",
    "IMPORT_TYPESENSE_PROTOCOL",
    "IMPORT_TYPESENSE_API_KEY",
)


@dataclass(frozen=True)
class TypesenseSettings:
    """Where Typesense is. `host` None = the embedded server in `folder`; times are in seconds."""

    host: str | None
    port: int
    protocol: str
    api_key: str | None = field(repr=False)
    timeout: float
    folder: Path
    linger: float
    names: Names = _OWN

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], names: Names = _OWN) -> TypesenseSettings:
        """Read `TYPESENSE_*` and `PYF_DATA_DIR`; an empty value counts as not set.

        `names`: where host, port, protocol and key stand. Raises UsageProblem, which names the setting and
        what would be right.
        """
        host = str(settings.get(names.host) or "").strip() or None
        if host is not None and not _HOST.fullmatch(host):
            raise UsageProblem(
                f"{names.host} is {host[:100]!r}: give the bare name of the host; "
                f"scheme and port belong in {names.protocol} and {names.port}"
            )
        protocol = str(settings.get(names.protocol) or "http").strip().lower()
        if protocol not in {"http", "https"}:
            raise UsageProblem(f"{names.protocol} is {protocol[:100]!r}: give http or https")
        key = str(settings.get(names.api_key) or "").strip() or None
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UsageProblem(f"{names.api_key} holds characters that no key has: give printable ASCII")
        if host is not None and key is None:
            raise UsageProblem(f"{names.host} is set but {names.api_key} is not: give the server's admin key")
        return cls(
            host=host,
            port=int(_number(settings, names.port, 8108, 1, 65535)),
            protocol=protocol,
            api_key=key,
            timeout=_number(settings, "TYPESENSE_TIMEOUT", 120, 1, 3600),
            folder=Path(settings.get("PYF_DATA_DIR") or ".pyf") / "typesense",
            linger=_number(settings, "TYPESENSE_LINGER", 600, 0, 604_800),
            names=names,
        )


def _number(settings: Mapping[str, Any], name: str, default: int, least: int, most: int) -> float:
    value = settings.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most:
        raise UsageProblem(f"{name} is {str(value)[:100]!r}: give a number from {least} to {most}")
    return number


class Connection:
    """An open way to Typesense; close it, or use it with `with`. Its methods may be called from any thread.

    `client` is ready to use, `identity` is "embedded" or "protocol://host:port", `version` is for example
    (0, 24, 1) or (30, 2): the 0.x servers are older than 26.
    """

    def __init__(self, settings: TypesenseSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._generation = 0
        self._use = ExitStack()  # the embedded server's use
        self._https: list[httpx.Client] = []
        self._server: Server | None = None
        self.client: typesense.Client
        self.version: tuple[int, ...] = ()
        self.identity = "embedded"
        if settings.host is not None:
            self.identity = f"{settings.protocol}://{_bracketed(settings.host)}:{settings.port}"
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the use of the server; may be called twice."""
        self._closing.set()
        with self._lock:
            self._use.close()
            for http in self._https:
                http.close()

    def retried(self, operation: Callable[[typesense.Client], T]) -> T:
        """Return `operation(client)`, repeated once on the restarted server when the embedded one was killed.

        So `operation` must be such that it can be done twice. Raises what it raises.
        """
        generation = self._generation
        try:
            return operation(self.client)
        except (SearchError, httpx.HTTPError, ServiceUnavailable, RequestUnauthorized) as error:
            if self._settings.host is not None or self._closing.is_set() or not _is_gone(error):
                raise
            logger.warning("the Typesense server was lost, starting it again")
            self._revive(generation)
        return operation(self.client)

    def client_with(self, api_key: str, timeout: float) -> typesense.Client:
        """A client of the same server with another key, of use while this connection is open; it repeats
        nothing. `timeout` is in seconds."""
        assert self._server is not None, "the connection is open"
        return self._client(self._server._replace(api_key=api_key), self._https[-1], timeout, retries=0)

    def _revive(self, generation: int) -> None:
        """Use the server anew, unless another thread has done so since `generation`."""
        with self._lock:
            if generation == self._generation and not self._closing.is_set():
                self._open()
                self._generation += 1

    def _open(self) -> None:
        settings = self._settings
        if settings.host is not None:
            server = Server(settings.host, settings.port, settings.protocol, settings.api_key or "")
        else:
            use = ExitStack()
            server = use.enter_context(
                embedded_server(settings.folder, linger=settings.linger, news=self._news)
            )
            self._use.close()  # after the new one has begun: the server is in use all the time
            self._use = use
        if server != self._server:
            self.client = self._new_client(server)
            self._server = server
            self.version = self._checked(server, self._https[-1])

    def _news(self, line: str) -> None:
        if self._closing.is_set():
            raise SearchError("closed while waiting for Typesense")
        logger.info(line)

    def _new_client(self, server: Server) -> typesense.Client:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request otherwise
        # The client warns about parts of its own that nobody uses here.
        warnings.filterwarnings("ignore", r"Sync\w+ is deprecated on v30", DeprecationWarning)
        external = self._settings.host is not None
        http = httpx.Client(
            timeout=httpx.Timeout(
                self._settings.timeout, connect=min(_CONNECT_TIMEOUT, self._settings.timeout)
            ),
            # Without TLS a context that trusts nobody saves 0.2 s of reading certificates.
            verify=True if server.protocol == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=external,  # a proxy in the environment must not get the embedded server's traffic
        )
        self._https.append(http)
        return self._client(server, http, self._settings.timeout, retries=_RETRIES if external else 0)

    @staticmethod
    def _client(server: Server, http: httpx.Client, timeout: float, *, retries: int) -> typesense.Client:
        return typesense.Client(
            {
                "nodes": [{"host": server.host, "port": server.port, "protocol": server.protocol}],
                "api_key": server.api_key,
                "connection_timeout_seconds": timeout,
                "num_retries": retries,
                "retry_interval_seconds": 1.0,
                "suppress_deprecation_warnings": True,  # the same parts, in its log
            },
            http_client=http,
        )

    def _checked(self, server: Server, http: httpx.Client) -> tuple[int, ...]:
        """Return the server's version once it is ready and takes the key. Raises SearchError."""
        address = f"{server.protocol}://{_bracketed(server.host)}:{server.port}"
        where, names = f"Typesense at {address}", self._settings.names
        stranger = f"what answers at {address} is not Typesense: check {names.host} and {names.port}"
        try:
            self._await_health(http, address, where, stranger)  # without the key: a stranger must not get it
            answer = http.get(
                f"{address}/debug", headers={"X-TYPESENSE-API-KEY": server.api_key}, timeout=_CHECK_TIMEOUT
            )
        except httpx.HTTPError as error:
            raise SearchError(_unreachable(where, names, error)) from error
        if answer.status_code in {401, 403}:
            raise SearchError(
                f"{where} refuses the key in {names.api_key}: give the admin key that it was started with"
            )
        numbers = re.match(r"v?(\d+(?:\.\d+)*)", str(_object(answer).get("version")))
        if answer.status_code != 200 or numbers is None:
            raise SearchError(stranger)
        self._await_writes(http, f"{address}/status", server.api_key)
        return tuple(map(int, numbers[1].split(".")))

    def _await_health(self, http: httpx.Client, address: str, where: str, stranger: str) -> None:
        started = time.monotonic()
        news = started + _NEWS
        while True:
            answer = http.get(f"{address}/health", timeout=_CHECK_TIMEOUT)
            health = _object(answer)
            if answer.status_code == 200 and health.get("ok") is True:
                return
            # A node without a leader says "Not Ready or Lagging", a full one names its resource.
            if answer.status_code != 503 or not ({"ok", "message"} & health.keys()):
                raise SearchError(stranger)
            reason = str(health.get("resource_error") or "loading its data, or without a leader")[:100]
            if time.monotonic() - started > _LOADING_PATIENCE:
                raise SearchError(f"{where} is not ready ({reason}): look at its log, then try again")
            if time.monotonic() > news:
                news += _NEWS
                self._news(f"waiting for {where} ({reason})")
            time.sleep(0.5)

    def _await_writes(self, http: httpx.Client, url: str, key: str) -> None:
        """Wait until nothing is queued: after its start Typesense calls itself healthy while it still replays
        its log, and documents seem to be missing. A server that does not tell is believed."""
        end = time.monotonic() + self._settings.timeout
        while time.monotonic() < end:
            answer = http.get(url, headers={"X-TYPESENSE-API-KEY": key}, timeout=_CHECK_TIMEOUT)
            if answer.status_code != 200 or not _object(answer).get("queued_writes"):
                return
            time.sleep(0.05)


def connect(settings: TypesenseSettings) -> Connection:
    """Open the way to Typesense; blocks until the server is ready.

    Raises SearchError, one line that says what to do, when there is no server, the key is refused, the
    certificate is not trusted or something else answers. No text ever holds the key.
    """
    if settings.host is None and not supported():
        raise SearchError(
            "Typesense starts by itself on Linux x86-64 only: run make secrets and docker compose up -d "
            "typesense, set TYPESENSE_HOST=localhost and TYPESENSE_API_KEY_FILE=secrets/typesense_api_key"
        )
    return Connection(settings)


def _is_gone(error: BaseException) -> bool:
    """Return whether the error, or the one it tells of, can be that of a killed or restarted server."""
    cause = error.__cause__ if isinstance(error, SearchError) else error
    if isinstance(cause, httpx.TransportError):
        return not isinstance(cause, httpx.TimeoutException)
    return isinstance(cause, ServiceUnavailable | RequestUnauthorized)


def _unreachable(where: str, names: Names, error: httpx.HTTPError) -> str:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    if "SSL" in reason or "CERTIFICATE" in reason.upper():
        return (
            f"{where}: TLS failed ({reason}); check {names.protocol} and {names.host}, "
            "and name an authority of your own in SSL_CERT_FILE"
        )
    if names != _OWN:
        return f"{where} cannot be reached ({reason}): check {names.host} and {names.port}"
    other = ", or unset TYPESENSE_HOST to let one start by itself" if supported() else ""
    return f"{where} cannot be reached ({reason}): start it (docker compose up -d typesense){other}"


def _object(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, empty when it is anything else."""
    try:
        value = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
