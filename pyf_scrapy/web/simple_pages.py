"""A Simple repository's pages from stored facts: JSON (PEP 691, 700, 792) and HTML (PEP 503, 592).

Without I/O. Files stay where PyPI keeps them. What the store does not know is not claimed: the metadata files
of PEP 658 and the attestations of PEP 740 are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import msgspec

from pyf_scrapy.metadata.releases import listed_files
from pyf_scrapy.metadata.versions import sortable
from pyf_scrapy.parsers.records import File, ProjectRecord
from pyf_scrapy.search.cleaning import line, url
from pyf_scrapy.store.records import Standing

#: The version of the interface with project status markers (PEP 792); its other parts are 1.1's (PEP 700).
API_VERSION = "1.4"
#: The version without sizes, for a page of which a file's size is not known: from 1.1 on it must be told.
WITHOUT_SIZES = "1.0"
_QUARANTINED = "quarantined"
_MARKERS = frozenset({"active", "archived", "deprecated", _QUARANTINED})


def index_json(names: Iterable[str]) -> bytes:
    """The list of all projects, by normalized names."""
    return msgspec.json.encode(
        {
            "meta": {"api-version": API_VERSION},
            "projects": [{"name": name} for name in names],
        }
    )


def index_html(names: Iterable[str]) -> bytes:
    """The list of all projects as links to their pages, which stand below it."""
    links = "".join(f'<a href="{escape(name)}/">{escape(name)}</a><br>\n' for name in names)
    return _document("Simple index", API_VERSION, links)


def page(record: ProjectRecord, standing: Standing) -> dict[str, Any]:
    """The page of a project as plain JSON values, of which `page_json` and `page_html` are made.

    A project in quarantine has no files (PEP 792).
    """
    status = standing.status if standing.status in _MARKERS else "active"
    listed = listed_files(record)
    versions = sorted((version for version, files in listed.items() if files), key=sortable)
    files = [
        described
        for version in versions
        for file in sorted(listed[version], key=lambda file: file.filename)
        if (described := _file(file)) is not None
    ]
    if status == _QUARANTINED:
        files, versions = [], []
    marker = {"status": status} | ({"reason": line(standing.reason)} if standing.reason else {})
    has_sizes = all("size" in file for file in files)
    return {
        "meta": {
            "api-version": API_VERSION if has_sizes else WITHOUT_SIZES,
            **({} if record.serial is None else {"_last-serial": record.serial}),
        },
        "name": record.normalized_name,
        "project-status": marker,
        "versions": [line(version) for version in versions],
        "files": files,
    }


def page_json(made: Mapping[str, Any]) -> bytes:
    """The page in the form of PEP 691."""
    return msgspec.json.encode(made)


def page_html(made: Mapping[str, Any]) -> bytes:
    """The page in the form of PEP 503."""
    marker = made["project-status"]
    metas = [("pypi:project-status", marker["status"])]
    if "reason" in marker:
        metas.append(("pypi:project-status-reason", marker["reason"]))
    links = "".join(map(_link, made["files"]))
    version = made["meta"]["api-version"]
    return _document(f"Links for {made['name']}", version, links, metas, made["meta"].get("_last-serial"))


def _file(file: File) -> dict[str, Any] | None:
    """A file as PEP 691 has it; None for one that cannot be offered: at no address of the web, or by another
    name than the address has, which is what installers go by."""
    address = urldefrag(url(file.url)).url
    if not address or not file.filename or line(file.filename) != file.filename:
        return None
    if unquote(urlsplit(address).path).rpartition("/")[2] != file.filename:
        return None
    described: dict[str, Any] = {
        "filename": file.filename,
        "url": address,
        "hashes": {"sha256": file.sha256} if file.sha256 else {},
        "yanked": (line(file.yanked_reason) or True) if file.yanked else False,
    }
    if file.requires_python:
        described["requires-python"] = line(file.requires_python)
    if file.size is not None:
        described["size"] = file.size
    if file.upload_time is not None:
        moment = datetime.fromtimestamp(file.upload_time, UTC)
        described["upload-time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return described


def _link(file: Mapping[str, Any]) -> str:
    fragment = "".join(f"#{name}={value}" for name, value in file["hashes"].items())
    attributes = {"href": file["url"] + fragment}
    if "requires-python" in file:
        attributes["data-requires-python"] = file["requires-python"]
    if file["yanked"]:
        attributes["data-yanked"] = "" if file["yanked"] is True else file["yanked"]
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{escape(file['filename'])}</a><br>\n"


def _document(
    title: str,
    version: str,
    links: str,
    metas: Sequence[tuple[str, str]] = (),
    serial: int | None = None,
) -> bytes:
    told = "".join(
        f'<meta name="{name}" content="{escape(content)}">\n'
        for name, content in (("pypi:repository-version", version), *metas)
    )
    end = "" if serial is None else f"<!--SERIAL {serial}-->\n"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{told}'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f"{links}</body>\n</html>\n{end}"
    ).encode()
