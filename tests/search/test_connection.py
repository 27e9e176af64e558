"""The way to Typesense: one line says what to do when there is none, and a crawl outlives a kill."""

from __future__ import annotations

import http.server
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typesense
from typesense.exceptions import RequestUnauthorized

from pyf_scrapy.exceptions import SearchError, UsageProblem
from pyf_scrapy.search import connection, supervisor
from pyf_scrapy.search.binary import supported
from pyf_scrapy.search.calls import failures
from pyf_scrapy.search.connection import TypesenseSettings, connect
from pyf_scrapy.search.embedded import Server

KEY = "a-secret-that-nobody-may-read"
ROOT = Path(__file__).parents[2]


def external(
    port: int, *, key: str = KEY, protocol: str = "http", host: str = "127.0.0.1"
) -> TypesenseSettings:
    return TypesenseSettings.from_settings(
        {
            "TYPESENSE_HOST": host,
            "TYPESENSE_PORT": str(port),
            "TYPESENSE_PROTOCOL": protocol,
            "TYPESENSE_API_KEY": key,
            "TYPESENSE_TIMEOUT": "5",
        }
    )


@contextmanager
def answering(answers: dict[str, list[tuple[int, str]]]) -> Iterator[tuple[int, list[str | None]]]:
    """Serve the answers of each path in turn, the last one for ever; yields port and keys received."""
    keys: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("X-TYPESENSE-API-KEY"))
            left = answers.get(self.path, [(404, "<h1>no such page</h1>")])
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_request(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1], keys
        finally:
            server.shutdown()
            thread.join()


def refused(settings: TypesenseSettings) -> str:
    """Return the one line that connecting with the settings ends in."""
    with pytest.raises(SearchError) as raised:
        connect(settings)
    said = str(raised.value)
    assert "\n" not in said
    assert KEY not in said
    return said


def test_an_external_server_is_used(typesense_server: Server) -> None:
    with connect(external(typesense_server.port, key=typesense_server.api_key)) as opened:
        assert opened.identity == f"http://127.0.0.1:{typesense_server.port}"
        assert opened.version == (0, 24, 1)
        assert opened.retried(lambda client: client.operations.is_healthy())
    newer = {"/health": [(200, '{"ok":true}')], "/debug": [(200, '{"state":1,"version":"30.2"}')]}
    with answering(newer) as (port, _), connect(external(port)) as opened:
        assert opened.version == (30, 2)
        with pytest.raises(SearchError, match="refuses"):  # only the embedded server is come back to
            opened.retried(_refused_operation)


def _refused_operation(client: typesense.Client) -> None:
    with failures("trying"):
        raise RequestUnauthorized("no")


def test_a_wrong_key_is_named(typesense_server: Server) -> None:
    assert "refuses the key in TYPESENSE_API_KEY" in refused(external(typesense_server.port))


def test_no_server_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = refused(external(port))
    assert f"http://127.0.0.1:{port} cannot be reached" in said
    assert "docker compose up -d typesense" in said


def test_an_unknown_host_is_named() -> None:
    assert "http://pyf-no-such-host.invalid:8108 cannot be reached" in refused(
        external(8108, host="pyf-no-such-host.invalid")
    )


def test_tls_on_a_plain_port_is_named(typesense_server: Server) -> None:
    said = refused(external(typesense_server.port, protocol="https"))
    assert "TLS failed" in said
    assert "TYPESENSE_PROTOCOL" in said


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/health": [(200, "<html>It works</html>")]},
        {"/health": [(200, "[" * 100_000)]},
        {"/health": [(200, '["ok"]')]},
        {"/health": [(503, "try later")]},
        {"/health": [(302, "")]},
        {"/health": [(200, '{"ok":true}')], "/debug": [(200, '{"version":"nothing"}')]},
    ],
)
def test_something_else_is_told_apart_and_does_not_get_the_key(answers: dict[str, Any]) -> None:
    with answering(answers) as (port, keys):
        assert "is not Typesense" in refused(external(port))
    assert "/debug" in answers or keys == [None]


def test_a_loading_server_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "_NEWS", 0.1)
    caplog.set_level("INFO", connection.__name__)
    loading = (503, '{"ok":false}')
    answers = {
        "/health": [loading, loading, (200, '{"ok":true}')],
        "/debug": [(200, '{"state":1,"version":"28.0"}')],
    }
    with answering(answers) as (port, _), connect(external(port)) as opened:
        assert opened.version == (28, 0)
    assert "loading its data" in caplog.text
    monkeypatch.setattr(connection, "_LOADING_PATIENCE", 0.0)
    with answering({"/health": [(503, '{"ok":false,"resource_error":"OUT_OF_DISK"}')]}) as (port, _):
        assert "is not ready (OUT_OF_DISK)" in refused(external(port))


def test_another_platform_reads_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    said = refused(TypesenseSettings.from_settings({}))
    assert "TYPESENSE_HOST" in said
    assert "docker compose up -d typesense" in said


@pytest.mark.skipif(not supported(), reason="the embedded Typesense runs on Linux x86-64 only")
def test_a_crawl_outlives_every_kill_and_loses_no_acknowledged_document(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # must not get in between
    settings = TypesenseSettings.from_settings({"PYF_DATA_DIR": home.parent, "TYPESENSE_LINGER": "1"})
    documents = "/collections/kept/documents"
    with connect(settings) as opened:
        assert opened.identity == "embedded"
        client = opened.client
        fields = [{"name": "title", "type": "string"}]
        client.api_call.post("/collections", dict, body={"name": "kept", "fields": fields})
        read: list[Any] = []

        def write(client: typesense.Client) -> None:
            client.api_call.post(documents, dict, body={"id": "1", "title": "x"})

        def ask(client: typesense.Client) -> None:
            with failures("asking"):
                read.append(client.api_call.get(f"{documents}/1", dict))

        opened.retried(write)
        for victim in ("supervisor", "pid"):
            os.kill(supervisor.read_state(home)[victim], signal.SIGKILL)
            threads = [threading.Thread(target=opened.retried, args=(ask,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert read == [{"id": "1", "title": "x"}] * 6
        assert opened.client is client  # same address and key: its connections are kept
    opened.close()
    tried: list[typesense.Client] = []

    def cut_off(client: typesense.Client) -> None:
        tried.append(client)
        raise httpx.ReadError("closed by us")

    with pytest.raises(httpx.ReadError):
        opened.retried(cut_off)
    assert tried == [client], "what was closed on purpose is not said to be lost"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TYPESENSE_HOST": "http://localhost:8108"}, "TYPESENSE_HOST .* bare name"),
        ({"TYPESENSE_HOST": "localhost:8108"}, "TYPESENSE_HOST .* bare name"),
        ({"TYPESENSE_HOST": "localhost"}, "TYPESENSE_API_KEY is not"),
        ({"TYPESENSE_PROTOCOL": "ftp"}, "TYPESENSE_PROTOCOL .* http or https"),
        ({"TYPESENSE_PORT": "eighty"}, "TYPESENSE_PORT .* number from 1 to 65535"),
        ({"TYPESENSE_PORT": "0"}, "TYPESENSE_PORT .* number from 1 to 65535"),
        ({"TYPESENSE_TIMEOUT": "nan"}, "TYPESENSE_TIMEOUT"),
        ({"TYPESENSE_LINGER": "-1"}, "TYPESENSE_LINGER"),
        ({"TYPESENSE_API_KEY": "schlüssel"}, "printable ASCII"),
        ({"TYPESENSE_API_KEY": "two\nlines"}, "printable ASCII"),
    ],
)
def test_a_wrong_setting_is_named_before_any_request(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageProblem, match=said) as raised:
        TypesenseSettings.from_settings(settings)
    assert "\n" not in str(raised.value)


def test_settings_have_the_seeds_names_and_defaults() -> None:
    settings = TypesenseSettings.from_settings({"TYPESENSE_HOST": "", "TYPESENSE_PORT": ""})
    assert settings == TypesenseSettings(None, 8108, "http", None, 120, Path(".pyf/typesense"), 600)
    settings = TypesenseSettings.from_settings({"TYPESENSE_HOST": "::1", "TYPESENSE_API_KEY": KEY})
    assert settings.host == "::1"
    assert KEY not in repr(settings)


def test_the_client_raises_no_warnings() -> None:
    code = "from pyf_scrapy.search import connection"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, b"")
