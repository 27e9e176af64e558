"""`scrapy apikeys` hands out keys to the public: what they may do must be seen, and no value may slip out."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyf_scrapy.search.collections import ensure_collection
from pyf_scrapy.search.connection import Connection
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.search.keys import delete_key, list_keys
from tests.commands.world import run_in
from tests.crawling import CHECKOUT, Place

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, empty_index: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A server with the empty collections plone (also called packages) and django, and without keys."""
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("COLUMNS", "120")
    place = Place(tmp_path / "data", "http://127.0.0.1:9", empty_index)
    with place.connection() as connection:
        forget_keys(connection)
        for alias in ("plone", "django"):
            ensure_collection(connection.client, alias)
        connection.client.api_call.put("/aliases/packages", dict, body={"collection_name": "plone-1"})
        yield place
        forget_keys(connection)


def forget_keys(connection: Connection) -> None:
    for key in list_keys(connection.client):
        delete_key(connection.client, key)


@pytest.fixture
def run(here: Place, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `scrapy apikeys ...`; return exit code, output and errors."""

    def run_command(*arguments: str, **settings: object) -> tuple[int, str, str]:
        code = run_in(here, "apikeys", *arguments, **settings)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give this text as standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def search_status(server: Server, key: str, name: str) -> int:
    url = f"{server.protocol}://{server.host}:{server.port}/collections/{name}/documents/search"
    asked = {"headers": {"X-TYPESENSE-API-KEY": key}, "params": {"q": "*", "query_by": "name"}}
    return httpx.get(url, trust_env=False, timeout=30, **asked).status_code  # type: ignore[arg-type]


def test_a_new_key_is_shown_once_and_searches(run: Run, here: Place) -> None:
    code, out, err = run("create", "-p", "plone", "--description", "the front end")
    assert (code, err) == (0, "")
    assert re.sub(r"[0-9a-f]{32}", "VALUE", re.sub(r"Key \d+", "Key ID", out)) == (
        "Key ID may search these collections, and do nothing else:\n"
        "description  the front end\n"
        "collections  plone plone-[0-9]+ packages\n"
        "expires      never\n"
        "value        VALUE\n"
        "This is the only time that the value is shown: the server tells it to nobody again.\n"
    )
    (value,) = re.findall(r"[0-9a-f]{32}", out)
    for name, status in (("plone", 200), ("plone-1", 200), ("packages", 200), ("django", 401)):
        assert search_status(here.server, value, name) == status
    assert value not in run("list")[1] + run("list", "--json")[1]


def test_json_has_stable_keys_and_the_value_once(run: Run) -> None:
    made = json.loads(run("create", "-c", "packages", "--json", "--expires", "2099-12-31")[1])
    assert list(made) == [
        *("created", "id", "description", "actions", "collections", "search_only", "value_prefix"),
        *("expires_at", "expires", "expired", "value", "note"),
    ]
    assert made["created"]
    assert made["description"] == "search-only key for packages"
    assert made["actions"] == ["documents:search"]
    assert made["collections"] == ["packages", "plone-[0-9]+", "plone"]
    assert "only time" in made["note"]
    (listed,) = json.loads(run("list", "--json")[1])["keys"]
    assert listed == {name: made[name] for name in listed}
    assert not {"value", "note"} & set(listed)


def test_one_key_for_several_profiles(run: Run, here: Place) -> None:
    made = json.loads(run("create", "-p", "plone,django", "--json")[1])
    assert made["collections"] == ["plone", "plone-[0-9]+", "packages", "django", "django-[0-9]+"]
    assert search_status(here.server, made["value"], "django-1") == 200


def test_a_list_shows_what_each_key_may_do(run: Run, here: Place) -> None:
    assert run("list") == (0, "No keys but the one that the server was started with.\n", "")
    run("create", "-p", "plone", "--expires", "12h")
    with here.connection() as connection:
        for body in (
            {"description": "old \x1b[31mred", "actions": ["documents:search"], "expires_at": 1_600_000_000},
            {"description": "worker", "actions": ["documents:*", "keys:list"]},
        ):
            connection.client.api_call.post("/keys", dict, body=body | {"collections": ["*"]})
    rows = [line.split("  ") for line in run("list")[1].splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["id", "description", "actions", "collections", "value", "expires"]
    assert cells[2][1:4] == ["search-only key for plone", "search only", "plone plone-[0-9]+ packages"]
    assert re.fullmatch(r"[0-9a-f]{4}\.\.\.", cells[2][4])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", cells[2][5])
    assert [cells[3][1], cells[3][2], cells[3][5]] == ["old red", "search only", "expired 2020-09-13 12:26"]
    assert [cells[4][1], cells[4][2], cells[4][5]] == ["worker", "documents:* keys:list", "never"]


@pytest.mark.parametrize("way", ["argument", "standard input"])
def test_a_value_of_ones_own_is_not_echoed(
    run: Run, here: Place, typed: Callable[[str], None], caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    typed("my-own-value\n")
    given = "-" if way == "standard input" else "my-own-value"
    for again in (False, True):
        typed("my-own-value\n")
        code, out, err = run("create", "-p", "plone", "--value", given)
        assert code == 0
        assert ("There is such a key already" in out) is again
        assert "value" not in out.replace("with this value", "")
        assert "my-own-value" not in out + err + caplog.text
    assert search_status(here.server, "my-own-value", "plone") == 200
    assert len(run("list")[1].splitlines()) == 3


def test_nothing_secret_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    value = json.loads(run("create", "-p", "plone", "--json")[1])["value"]
    assert value not in caplog.text


def test_a_value_is_typed_without_echo(here: Place) -> None:
    """On a terminal; whoever looks over the shoulder, and the scroll-back, must not have it."""
    own, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scrapy", "apikeys", "create", "-p", "plone", "--value", "-"],
        cwd=CHECKOUT,
        env=here.environment(),
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
        text=True,
        start_new_session=True,
    )
    os.close(other)
    shown = b""
    while b"Value: " not in shown:
        shown += os.read(own, 1000)
    os.write(own, b"typed-value\n")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    try:
        while chunk := os.read(own, 1000):
            shown += chunk
    except OSError:  # EIO: the other end is closed
        pass
    os.close(own)
    assert b"typed" not in shown
    assert "typed" not in out.replace("typed...", "")
    assert search_status(here.server, "typed-value", "plone") == 200


def test_the_same_value_for_something_else_is_refused(run: Run) -> None:
    assert run("create", "-p", "plone", "--value", "my-own-value", "--description", "first")[0] == 0
    code, out, err = run("create", "-p", "django", "--value", "my-own-value")
    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"scrapy apikeys: a key with this value exists: \d+ \(first\), with other rights or an unknown one: "
        r"give another value, or delete that key first\n",
        err,
    )


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("create", "-p", "plone", "--expires", "2020-01-01"), "--expires 2020-01-01: that is in the past"),
        (("create", "-p", "plone", "--expires", "soon"), "--expires 'soon': give the last day (UTC)"),
        (("create", "-p", "plone", "--value", "short"), "this value cannot be a key: use 8 to 256"),
        (("create", "-p", "plone", "--description", "x" * 201), "--description is longer than 200"),
        (("create", "-p", "plon"), "unknown profile 'plon' (did you mean 'plone'?)"),
        (("create", "-p", "plone", "-c", "plone"), "give -p PROFILE or -c COLLECTION, not both"),
        (("create",), "which collection? use -p PROFILE or -c COLLECTION"),
        (("create", "plone"), "unknown argument 'plone'"),
        (("list", "--yes"), "unknown option '--yes'"),
        (("delete", "--yes"), "an argument is missing"),
        (("delete", "x", "--yes"), "'x' is not the id of a key"),
        (("delete", "9" * 5000, "--yes"), "999' is not the id of a key"),
        (("delete", "99999", "--yes"), "there is no key 99999; `scrapy apikeys list` shows all"),
        (("delete", "0"), "There is nobody to ask: give --yes"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, typed: Callable[[str], None], arguments: tuple[str, ...], what: str
) -> None:
    typed("")
    if arguments == ("delete", "0"):
        made = json.loads(run("create", "-p", "plone", "--json")[1])
        arguments = ("delete", str(made["id"]))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert what in err
    assert err.count("\n") <= 2


def test_the_admin_key_is_not_given_to_the_public(run: Run, here: Place) -> None:
    admin = "an-admin-key-of-some-length"
    with here.connection() as connection:
        body = {"description": "admin", "actions": ["*"], "collections": ["*"], "value": admin}
        connection.client.api_call.post("/keys", dict, body=body)
    code, out, err = run("create", "-p", "plone", "--value", admin, TYPESENSE_API_KEY=admin)
    assert (code, out) == (2, "")
    assert "which may do more" in err
    assert admin not in err


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("flask", "scrapy crawl pypi -a profile=flask"),
        ("plone,flask", "there is no collection 'flask'"),
    ],
)
def test_a_collection_that_is_not_there_gets_no_key(run: Run, where: str, command: str) -> None:
    code, out, err = run("create", "-p", where)
    assert (code, out) == (1, "")
    assert command in err
    assert json.loads(run("list", "--json")[1]) == {"keys": []}


def test_a_key_is_deleted_when_that_is_wanted(
    run: Run, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = json.loads(run("create", "-p", "plone", "--json")[1])
    for answer, left in (("n\n", 1), ("\n", 1), ("y\n", 0)):
        typed(answer)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        code, out, err = run("delete", str(made["id"]))
        assert code == 0
        assert f"Delete key {made['id']} (search-only key for plone, {made['value'][:4]}...)?" in err
        assert out.startswith("Nothing was changed." if left else f"Deleted key {made['id']} (")
        assert len(json.loads(run("list", "--json")[1])["keys"]) == left


def test_deleting_for_scripts(run: Run) -> None:
    made = json.loads(run("create", "-p", "plone", "--json")[1])
    code, out, _ = run("delete", str(made["id"]), "--yes", "--json")
    assert code == 0
    deleted: dict[str, Any] = json.loads(out)["deleted"]
    assert deleted["id"] == made["id"]
    assert "value" not in deleted


def test_a_key_that_may_not_manage_keys_is_told_so(run: Run, here: Place) -> None:
    with here.connection() as connection:
        actions = ["documents:*", "debug:list", "aliases:*", "collections:*"]
        body = {"description": "worker", "actions": actions, "collections": ["*"]}
        worker = connection.client.api_call.post("/keys", dict, body=body)
    for arguments in (("list",), ("create", "-p", "plone"), ("delete", str(worker["id"]), "--yes")):
        code, out, err = run(*arguments, TYPESENSE_API_KEY=worker["value"])
        assert (code, out) == (1, "")
        assert "the key in TYPESENSE_API_KEY may not manage keys" in err
        assert err.count("\n") == 1


def test_nothing_is_started_where_nothing_is(fresh: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("list",), ("delete", "1", "--yes"), ("create", "-p", "plone")):
        assert run_in(fresh, "apikeys", *arguments) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert not fresh.folder.exists()
