"""The Simple API: one project's page and the index of all (PEP 503, 691, 700, 792)."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import md5
from html import escape
from itertools import islice
from typing import NamedTuple

from packaging.utils import canonicalize_name

from pyf_scrapy.replica.documents import dump
from pyf_scrapy.replica.files import files_of, simple_file
from pyf_scrapy.replica.histories import order_key
from pyf_scrapy.replica.truth import Project, Release

API_VERSION = "1.4"
_ROWS = 4096


class Compressed(NamedTuple):
    """A large body, kept as gzip: `size` is that of the plain bytes, `etag` stands for both forms."""

    gzip: bytes
    size: int
    etag: str
    serial: int

    def plain(self) -> Iterator[bytes]:
        """The plain bytes, in pieces."""
        inflate = zlib.decompressobj(wbits=31)
        for start in range(0, len(self.gzip), 65_536):
            yield inflate.decompress(self.gzip[start : start + 65_536])
        yield inflate.flush()


class Row(NamedTuple):
    """A project as the index lists it: by its display name."""

    name: str
    serial: int


def etag(body: bytes) -> str:
    """The tag that warehouse gives an answer: the MD5 of its bytes."""
    return f'"{b64encode(md5(body, usedforsecurity=False).digest()).decode().rstrip("=")}"'


def index_json(rows: Iterable[Row], serial: int) -> Compressed:
    """The index with serials, rows sorted by normalized name."""
    head = f'{{"meta":{{"_last-serial":{serial},"api-version":"{API_VERSION}"}},"projects":['
    lines = (f'{{"_last-serial":{row.serial},"name":"{row.name}"}}' for row in rows)
    return _compress(_pieces(head, lines, ",", "]}"), serial)


def index_html(rows: Iterable[Row], serial: int) -> Compressed:
    """The index for browsers and old clients: names only, frozen by PEP 833."""
    head = (
        '<!DOCTYPE html>\n<html>\n  <head>\n    <meta name="pypi:repository-version" content="1.4">\n'
        "    <title>Simple index</title>\n  </head>\n  <body>\n"
    )
    lines = (f'    <a href="/simple/{canonicalize_name(row.name)}/">{escape(row.name)}</a>' for row in rows)
    return _compress(_pieces(head, lines, "\n", f"\n  </body>\n</html>\n<!--SERIAL {serial}-->"), serial)


def _pieces(head: str, lines: Iterator[str], separator: str, tail: str) -> Iterator[bytes]:
    yield head.encode()
    between = ""
    while block := list(islice(lines, _ROWS)):
        yield (between + separator.join(block)).encode()
        between = separator
    yield tail.encode()


def _compress(pieces: Iterator[bytes], serial: int) -> Compressed:
    deflate = zlib.compressobj(1, wbits=31)
    digest = md5(usedforsecurity=False)
    size = 0
    packed = bytearray()
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        packed += deflate.compress(piece)
    packed += deflate.flush()
    return Compressed(bytes(packed), size, f'"{b64encode(digest.digest()).decode().rstrip("=")}"', serial)


def page_json(seed: int, project: Project) -> bytes:
    """A project's page. As on PyPI `versions` are those of the files; a release without is not there."""
    status = {"status": project.status}
    if project.status_reason:
        status["reason"] = project.status_reason
    files = []
    versions = []
    for release in _shown(project):
        found = files_of(seed, project, release)
        files += [simple_file(file, release) for file in found]
        if found:
            versions.append(release.version)
    return dump(
        {
            "alternate-locations": [],
            "files": files,
            "meta": {"_last-serial": project.serial, "api-version": API_VERSION},
            "name": project.normalized_name,
            "project-status": status,
            "versions": versions,
        }
    )


def _shown(project: Project) -> list[Release]:
    """The releases in PyPI's order; none while the project is in quarantine."""
    if project.quarantined:
        return []
    return sorted(project.releases, key=lambda release: order_key(release.version))


def page_html(seed: int, project: Project) -> bytes:
    """A project's page in the form of PEP 503."""
    lines = []
    for release in _shown(project):
        for file in files_of(seed, project, release):
            python = (
                f' data-requires-python="{escape(release.requires_python)}"'
                if release.requires_python
                else ""
            )
            yanked = f' data-yanked="{escape(release.yanked_reason or "")}"' if release.yanked else ""
            lines.append(
                f'<a href="{file.url}#sha256={file.sha256}"{python}{yanked}>{file.filename}</a><br />\n'
            )
    name = project.normalized_name
    return (
        '<!DOCTYPE html>\n<html>\n  <head>\n    <meta name="pypi:repository-version" content="1.4">\n'
        f'    <meta name="pypi:project-status" content="{project.status}">\n'
        f"    <title>Links for {name}</title>\n  </head>\n  <body>\n    <h1>Links for {name}</h1>\n"
        f"{''.join(lines)}  </body>\n</html>\n"
        f"<!--SERIAL {project.serial}-->"
    ).encode()
