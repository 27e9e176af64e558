"""The answers over HTTP: redirects, conditional requests, gzip, 404 as PyPI gives them."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import pytest
from packaging.utils import canonicalize_name

from pyf_scrapy.replica import Handle
from pyf_scrapy.replica.pypi import wants_json

from .client import SIMPLE_JSON, get


def some_name(handle: Handle, *, released: bool = True) -> str:
    """A project whose display name is not normalized."""
    for row in handle.replica.rows():
        project = handle.replica.project(row.name)
        if project and bool(project.releases) is released and row.name != canonicalize_name(row.name):
            return row.name
    raise AssertionError("no such project")


@pytest.mark.parametrize("path", ["/pypi/{}/json", "/pypi/{}/1.0/json", "/simple/{}/"])
def test_unnormalized_names_are_redirected(shared: Handle, path: str) -> None:
    name = some_name(shared)
    answer = get(shared.url, path.format(name), accept=SIMPLE_JSON)
    assert (answer.status, answer.headers["Location"]) == (301, path.format(canonicalize_name(name)))


@pytest.mark.parametrize("path", ["/simple", "/simple/{}", "/pypi/{}/json/", "/pypi/{}/1.0/json/"])
def test_wrong_slashes_are_redirected(shared: Handle, path: str) -> None:
    path = path.format(canonicalize_name(some_name(shared)))
    answer = get(shared.url, path)
    assert answer.status == 301
    assert answer.headers["Location"].rstrip("/") == path.rstrip("/")
    assert answer.headers["Location"] != path


@pytest.mark.parametrize("path", ["/pypi/no-such-thing/json", "/pypi/no-such-thing/1.0/json"])
def test_json_404(shared: Handle, path: str) -> None:
    answer = get(shared.url, path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")
    assert json.loads(answer.body) == {"message": "Not Found"}


@pytest.mark.parametrize("path", ["/simple/no-such-thing/", "/", "//pypi/x/json", "/pypi/x", "/simple/x/y/"])
def test_text_404(shared: Handle, path: str) -> None:
    answer = get(shared.url, path)
    assert (answer.status, answer.body) == (404, b"404 Not Found")


def test_a_project_without_releases_is_listed_but_has_no_json(shared: Handle) -> None:
    name = canonicalize_name(some_name(shared, released=False))
    assert get(shared.url, f"/pypi/{name}/json").status == 404
    page = json.loads(get(shared.url, f"/simple/{name}/", accept=SIMPLE_JSON).body)
    assert (page["versions"], page["files"]) == ([], [])


def test_a_listed_release_without_own_json(shared: Handle) -> None:
    for name in shared.replica.names():
        project = shared.replica.project(name)
        hidden = [one.version for one in project.releases if not one.own_json] if project else []
        if hidden:
            break
    assert get(shared.url, f"/pypi/{name}/{quote(hidden[0])}/json").status == 404
    assert hidden[0] in json.loads(get(shared.url, f"/pypi/{name}/json").body)["releases"]


@pytest.mark.parametrize(("path", "age"), [("/simple/", 600), ("/simple/{}/", 600), ("/pypi/{}/json", 900)])
def test_unchanged_answers_are_304(shared: Handle, path: str, age: int) -> None:
    path = path.format(canonicalize_name(some_name(shared)))
    first = get(shared.url, path, accept=SIMPLE_JSON)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == f"max-age={age}, public"
    assert int(first.headers["X-PyPI-Last-Serial"]) > 20_000_000
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = get(shared.url, path, accept=SIMPLE_JSON, if_none_match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert get(shared.url, path, accept=SIMPLE_JSON, if_none_match='"other"').status == 200


@pytest.mark.parametrize("path", ["/simple/", "/simple/{}/", "/pypi/{}/json"])
def test_gzip_when_asked_for(shared: Handle, path: str) -> None:
    path = path.format(canonicalize_name(some_name(shared)))
    plain = get(shared.url, path, accept=SIMPLE_JSON)
    packed = get(shared.url, path, accept=SIMPLE_JSON, accept_encoding="gzip, deflate")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body
    assert int(plain.headers["Content-Length"]) == len(plain.body)


def test_without_accept_the_simple_api_is_html(shared: Handle) -> None:
    index = get(shared.url, "/simple/")
    assert index.headers["Content-Type"].startswith("text/html")
    assert index.body.count(b"<a href=") == 1200
    name = canonicalize_name(some_name(shared))
    page = get(shared.url, f"/simple/{name}/")
    assert page.headers["Vary"] == "Accept, Accept-Encoding"
    assert f"<h1>Links for {name}</h1>".encode() in page.body


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        (SIMPLE_JSON, True),
        ("application/vnd.pypi.simple.latest+json", True),
        (f"{SIMPLE_JSON}, text/html;q=0.1", True),
        (f"{SIMPLE_JSON};q=0.2, text/html", False),
        (f"{SIMPLE_JSON};q=0", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_accept(accept: str, json_wanted: bool) -> None:
    assert wants_json(accept) is json_wanted


def test_every_listed_name_and_version_answers(shared: Handle) -> None:
    """Strange versions (`1!2.0`, `0.4.5-`, `1.0 final`) survive the way through the URL."""
    wanted = answered = 0
    for name in shared.replica.names()[::20]:
        project = shared.replica.project(name)
        assert project is not None
        for release in project.releases[:20]:
            wanted += release.own_json
            answer = get(shared.url, f"/pypi/{name}/{quote(release.version, safe='')}/json")
            if answer.status == 200:
                answered += 1
                assert json.loads(answer.body)["info"]["version"] == release.version
    assert wanted == answered > 100
