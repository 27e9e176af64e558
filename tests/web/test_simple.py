"""The Simple API. If these fail, pip and uv install the wrong release, or none, from our address."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyf_scrapy.parsers.records import File, Metadata, ProjectRecord
from pyf_scrapy.store.records import Standing
from pyf_scrapy.web.negotiation import best_type
from pyf_scrapy.web.simple_pages import page, page_html
from tests.web.filling import Filled, listening, released

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"


class Links(HTMLParser):
    """The links of a page with their attributes, as an installer reads them, and its meta elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.metas: dict[str | None, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "b"}
        if tag == "a":
            self.links.append(dict(attrs))
        elif tag == "meta" and "name" in dict(attrs):
            self.metas[dict(attrs)["name"]] = dict(attrs)["content"]


@pytest.fixture(scope="module")
def served(served: Filled) -> Filled:
    url = served.replica.url
    served.publish(
        released("Pyf.Wheel", "1.0", new=True, files=url, requires_dist=["pyf-part>=1"]),
        released("Pyf.Wheel", "2.0", files=url, requires_dist=["pyf-part>=1"], requires_python=">=3.9"),
        released("Pyf.Wheel", "2.1", files=url),
        {"event": "yank", "project": "Pyf.Wheel", "version": "2.1", "reason": "broken"},
        released("Pyf.Wheel", "3.0", files=url, requires_python=">=4"),
        released("pyf-part", "1.1", new=True, files=url, kinds=["wheel"]),
    )
    return served


async def get(served: Filled, path: str, accept: str = JSON, **headers: str) -> httpx.Response:
    async with served.client() as client:
        return await client.get(f"/simple/{path}", headers={"accept": accept, **headers})


async def test_the_index_lists_the_packages_of_the_profile_and_no_others(served: Filled) -> None:
    answer = await get(served, "plone/")
    assert answer.headers["content-type"] == JSON
    listed = [project["name"] for project in answer.json()["projects"]]
    members = served.replica.replica.members("Framework :: Plone")
    assert listed == sorted(members)
    html = await get(served, "plone/", "text/html")
    assert [link["href"] for link in Links(html.text).links] == [f"{name}/" for name in listed]
    django = await get(served, "django/")
    assert set(listed).isdisjoint(project["name"] for project in django.json()["projects"])


async def test_a_page_says_of_each_file_what_pypi_says(served: Filled) -> None:
    answer = await get(served, "plone/pyf-base/")
    made = answer.json()
    assert made["meta"]["api-version"] == "1.4"
    assert made["name"] == "pyf-base"
    assert sorted(made["versions"]) == ["1.0", "2.0", "2.1", "3.0rc1"]
    assert made["project-status"] == {"status": "active"}
    original = httpx.get(f"{served.replica.url}/simple/pyf-base/", headers={"accept": JSON}).json()
    theirs = {file["filename"]: file for file in original["files"]}
    assert len(made["files"]) == len(theirs) == 8
    for file in made["files"]:
        said = theirs[file["filename"]]
        assert file["url"] == said["url"]
        assert (file["hashes"], file["size"]) == (said["hashes"], said["size"])
        assert file.get("requires-python") == said["requires-python"]
        assert file["upload-time"][:19] == said["upload-time"][:19]
    yanked = {file["yanked"] for file in made["files"] if "2.1" in file["filename"]}
    assert yanked == {"broken <b>"}
    assert not any(file["yanked"] for file in made["files"] if "2.1" not in file["filename"])


async def test_the_html_says_the_same(served: Filled) -> None:
    files = (await get(served, "plone/pyf-base/")).json()["files"]
    answer = await get(served, "plone/pyf-base/", HTML)
    assert answer.headers["content-type"] == HTML
    read = Links(answer.text)
    assert read.metas == {"pypi:repository-version": "1.4", "pypi:project-status": "active"}
    assert read.links == [
        {
            "href": f"{file['url']}#sha256={file['hashes']['sha256']}",
            **({"data-requires-python": file["requires-python"]} if "requires-python" in file else {}),
            **({"data-yanked": file["yanked"]} if file["yanked"] else {}),
        }
        for file in files
    ]


async def test_the_client_gets_the_form_that_it_asks_for(served: Filled) -> None:
    pip = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
    for accept, media_type in (
        (pip, JSON),
        ("*/*", "text/html; charset=utf-8"),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (HTML, HTML),
    ):
        answer = await get(served, "plone/pyf-base/", accept)
        assert (answer.headers["content-type"], answer.headers["vary"]) == (media_type, "Accept")
    refused = await get(served, "plone/pyf-base/", "image/png")
    assert refused.status_code == 406


async def test_what_has_not_changed_is_not_sent_again(served: Filled) -> None:
    answer = await get(served, "plone/pyf-base/")
    again = await get(served, "plone/pyf-base/", **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await get(served, "plone/pyf-base/", HTML, **{"if-none-match": answer.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("plone/Pyf.Base/", "../pyf-base/"),
        ("plone/pyf-base", "pyf-base/"),
        ("plone/PYF_Base", "pyf-base/"),
        ("plone", "plone/"),
    ],
)
async def test_other_spellings_lead_to_the_page(served: Filled, path: str, location: str) -> None:
    answer = await get(served, path)
    assert (answer.status_code, answer.headers["location"]) == (301, location)


@pytest.mark.parametrize("path", ["plone/nonesuch/", "nonesuch/", "django/pyf-base/", "plone/..%2f..%2fx/"])
async def test_what_is_not_there_is_a_404(served: Filled, path: str) -> None:
    answer = await get(served, path)
    assert answer.status_code == 404


async def test_a_package_in_quarantine_offers_no_file(served: Filled) -> None:
    record = ProjectRecord("a", "a", "1", 7, Metadata("a", "1"), {"1": (file_named("a-1.tar.gz"),)})
    made = page(record, Standing("a", "quarantined", "malware"))
    assert (made["files"], made["versions"]) == ([], [])
    assert made["project-status"] == {"status": "quarantined", "reason": "malware"}
    assert Links(page_html(made).decode()).metas["pypi:project-status-reason"] == "malware"


def file_named(filename: str, url: str | None = None, **more: Any) -> File:
    return File(filename, url or f"https://files.example/{filename}", size=1, sha256="0" * 64, **more)


HOSTILE = (
    file_named("a-1.tar.gz", "javascript:alert(1)//a-1.tar.gz"),
    file_named("a-2.tar.gz", "file:///etc/a-2.tar.gz"),
    file_named("a-3.tar.gz", "https://files.example/other-3.tar.gz"),
    file_named("../a-4.tar.gz"),
    file_named("a-5\x1b[31m.tar.gz"),
    file_named(""),
    file_named("a-6.tar.gz", 'https://files.example/a-6.tar.gz" onclick="x'),
)


def test_files_at_no_address_of_the_web_or_under_another_name_are_not_offered() -> None:
    good = file_named("a-9.tar.gz", requires_python='>=3"><script>', yanked=True, yanked_reason='"><b>\x07')
    record = ProjectRecord("a", "a", "9", 7, Metadata("a", "9"), {"9": (*HOSTILE, good)})
    made = page(record, Standing("a"))
    assert [file["filename"] for file in made["files"]] == ["a-9.tar.gz"]
    (link,) = Links(page_html(made).decode()).links
    assert link["data-requires-python"] == '>=3"><script>'
    assert link["data-yanked"] == '"><b>'


def test_a_fragment_of_strangers_does_not_replace_the_hash() -> None:
    file = file_named("a-1.tar.gz", "https://files.example/a-1.tar.gz#sha256=" + "f" * 64)
    record = ProjectRecord("a", "a", "1", None, Metadata("a", "1"), {"1": (file,)})
    (link,) = Links(page_html(page(record, Standing("a"))).decode()).links
    assert link["href"] == f"https://files.example/a-1.tar.gz#sha256={'0' * 64}"


def test_a_page_without_all_sizes_does_not_claim_to_have_them() -> None:
    """From version 1.1 on each file has a size (PEP 700)."""
    file = File("a-1.tar.gz", "https://files.example/a-1.tar.gz", yanked=True)
    made = page(ProjectRecord("a", "a", "1", 7, Metadata("a", "1"), {"1": (file,)}), Standing("a"))
    assert made["meta"]["api-version"] == "1.0"
    assert made["files"] == [
        {"filename": "a-1.tar.gz", "url": file.url, "hashes": {}, "yanked": True},
    ]
    assert Links(page_html(made).decode()).links == [{"href": file.url, "data-yanked": ""}]


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "a/x"),
        ("*/*", "a/x"),
        ("b/y", "b/y"),
        ("a/x;q=0.5, b/y", "b/y"),
        ("a/*;q=0.2, */*;q=0.1", "a/x"),
        ("a/x;q=0, */*", "b/y"),
        ("A/X; Q=1", "a/x"),
        ("c/z", None),
        ("a/x;q=nonsense", None),
        (";;;,,, ;q=", None),
    ],
)
def test_the_best_type_is_what_the_header_likes_most(accept: str, best: str | None) -> None:
    assert best_type(accept, ("a/x", "b/y")) == best


def run(*arguments: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.dist-info")}


def test_pip_installs_the_right_release_and_what_it_requires(served: Filled, tmp_path: Path) -> None:
    """Not the yanked one, not that for a Python of the future."""
    with listening(served.app) as url:
        index = f"{url}/simple/plone/"
        run(
            *(sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-cache-dir"),
            *("--disable-pip-version-check", "--only-binary=:all:", "--target", str(tmp_path)),
            *("--index-url", index, "Pyf_Wheel"),
        )
    assert installed(tmp_path) == {"pyf_wheel-2.0.dist-info", "pyf_part-1.1.dist-info"}


def test_uv_installs_the_yanked_release_that_is_asked_for(served: Filled, tmp_path: Path) -> None:
    with listening(served.app) as url:
        run(
            *(sys.executable, "-m", "uv", "--no-config", "--no-cache", "pip", "install", "--quiet"),
            *("--python", sys.executable, "--only-binary=:all:", "--target", str(tmp_path)),
            *("--default-index", f"{url}/simple/plone/", "pyf.wheel==2.1"),
        )
    assert installed(tmp_path) == {"pyf_wheel-2.1.dist-info"}
