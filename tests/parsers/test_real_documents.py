"""All recorded documents of PyPI parse; if one did not, packages like it would be missing from the index.

The recordings are not part of the checkout: PYF_REAL_DATA names their folder (default ../shared/data).
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import msgspec
import pytest

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.project_json import ProjectRecord, parse_outline, parse_project, parse_release
from pyf_scrapy.parsers.simple_index import SimplePage, files_by_version, parse_index, parse_simple_page

_BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("PYF_REAL_DATA", _BESIDE))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no recorded documents: set PYF_REAL_DATA")

# Documents that are rightly refused, with what they are.
EXCEPTIONS = {
    "Demo_2@0.json": "invented for a test of another project; 'Demo 2' is not a project name",
    "_synthetic_qypi_has-prerel.json": "version -> document: several answers in one file",
    "_synthetic_qypi_nullfields.json": "the same",
    "_synthetic_qypi_prerelease-only.json": "the same",
}


class _Line(msgspec.Struct):
    doc: msgspec.Raw
    path: str


def _documents() -> list[Path]:
    return sorted(path for path in (DATA / "pypi_json").rglob("*.json") if not path.name.startswith("_404"))


def _corpus() -> list[_Line]:
    with gzip.open(DATA / "pypi_json" / "_corpus_latest.jsonl.gz") as lines:
        return [msgspec.json.decode(line, type=_Line) for line in lines]


def _check(body: bytes) -> ProjectRecord:
    project = parse_project(body)
    packed = msgspec.msgpack.encode(project)
    assert msgspec.msgpack.decode(packed, type=ProjectRecord) == project
    assert parse_outline(body) == project.outline
    release = parse_release(body)
    assert (release.version, release.metadata, release.files) == (
        project.version,
        project.metadata,
        project.latest_files,
    )
    return project


def test_documents() -> None:
    refused = []
    for path in _documents():
        try:
            project = _check(path.read_bytes())
        except ParseError:
            refused.append(path.name)
        else:
            told = path.name.removesuffix(".json").removesuffix(".version").split("@")[-1].split("~")[0]
            assert project.version == told, path.name
    assert sorted(refused) == sorted(EXCEPTIONS)


def test_corpus() -> None:
    refused = []
    for line in _corpus():
        try:
            _check(bytes(line.doc))
        except ParseError:
            refused.append(line.path)
    assert refused == ["tests/repositories/pypi/test-data/basic_package_2.json"]  # "Demo 2" again


def test_simple_api() -> None:
    for path in sorted((DATA / "pypi_simple").glob("*.json")):
        body = path.read_bytes()
        if "root" in path.name:
            index = parse_index(body)
            assert index.projects
            assert index.skipped == 0
        else:
            page = parse_simple_page(body)
            assert page.files
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(page), type=SimplePage) == page


def test_files_find_their_release_by_name() -> None:
    """What the project JSON says about files is what the file names tell, but for mistakes of uploaders."""
    found = missed = 0
    for line in _corpus():
        try:
            project = parse_project(bytes(line.doc))
        except ParseError:
            continue
        listed = project.files or {}
        every = tuple(file for files in listed.values() for file in files if file.filename)
        by_name = files_by_version(SimplePage(project.normalized_name, versions=tuple(listed), files=every))
        wrong = [
            file
            for version in listed
            for file in listed[version]
            if file.filename and file not in by_name[version]
        ]
        found, missed = found + len(every) - len(wrong), missed + len(wrong)
    assert found > 15_000
    assert missed <= 10
