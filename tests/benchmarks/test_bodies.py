"""The documents that the benchmarks serve: were they no gzip, or too small, the figures would say nothing."""

from __future__ import annotations

import statistics
import zlib

import msgspec
import pytest

from benchmarks.bodies import MEAN, MEDIAN, sizes, templates
from benchmarks.world import World, WorldOptions
from pyf_scrapy.parsers.project_json import parse_project, parse_release
from pyf_scrapy.parsers.simple_index import files_by_version, parse_index, parse_simple_page


def unpacked(body: bytes) -> bytes:
    return zlib.decompress(body, wbits=31)


def test_sizes_are_those_of_pypi() -> None:
    wanted = sizes(1000)
    assert statistics.median(wanted) == pytest.approx(MEDIAN, rel=0.01)
    assert statistics.mean(wanted) == pytest.approx(MEAN, rel=0.05)
    assert wanted[-1] > 3_000_000


def test_documents_have_the_sizes() -> None:
    found = [template.packed("some-name", 1).size for template in templates(60)]
    wanted = sizes(60)
    assert statistics.mean(found) == pytest.approx(statistics.mean(wanted), rel=0.1)
    assert statistics.median(found) == pytest.approx(statistics.median(wanted), rel=0.1)


def test_projects_share_a_document_but_for_name_and_serial() -> None:
    (template,) = templates(1)
    one, other = template.packed("one", 11), template.packed("a-longer-name", 22_000_000)
    records = [parse_project(unpacked(packed.body)) for packed in (one, other)]
    assert [(record.name, record.serial) for record in records] == [
        ("one", 11),
        ("a-longer-name", 22_000_000),
    ]
    assert records[0].files == records[1].files
    assert one.size == len(unpacked(one.body))
    assert len({one.etag, other.etag, template.packed("one", 12).etag}) == 3


def test_a_world_has_what_its_index_lists() -> None:
    world = World(WorldOptions(30, {"plone": 4}, releases=3, dotted=True, templates=5, missing=1))
    index = parse_index(unpacked(world.index.gzip))
    assert len(index.projects) == 30
    assert sum("." in entry.name for entry in index.projects) == 4
    missing = [
        entry.name for entry in index.projects if "." not in entry.name and world.project(entry.name) is None
    ]
    assert len(missing) == 1
    for name, project in world.members.items():
        record = parse_project(unpacked(world.rendered[f"/pypi/{name}/json"][0].body))
        assert (record.name, record.serial) == (project.name, world.serials[name])
        assert any(text.startswith("Framework :: Plone") for text in record.metadata.classifiers)
        page = parse_simple_page(unpacked(world.rendered[f"/simple/{name}/"][0].body))
        assert record.files is not None
        assert set(files_by_version(page)) <= set(record.files)
        assert len(record.files) == 3
        for version in record.files:
            release = parse_release(unpacked(world.rendered[f"/pypi/{name}/{version}/json"][0].body))
            assert release.metadata is not None


def test_changes_are_in_index_and_documents() -> None:
    world = World(WorldOptions(50, {"plone": 2}, templates=3))
    before = dict(world.serials)
    world.change(10)
    changed = {name for name, serial in world.serials.items() if serial != before[name]}
    assert len(changed) == 10
    assert not changed & world.members.keys()
    listed = {entry.name: entry.serial for entry in parse_index(unpacked(world.index.gzip)).projects}
    for name in changed:
        packed, serial = world.project(name) or pytest.fail(name)
        assert msgspec.json.decode(unpacked(packed.body))["last_serial"] == serial == listed[name]


def test_an_index_with_another_tag_says_the_same() -> None:
    world = World(WorldOptions(5, templates=1))
    before = world.index
    world.retag()
    assert world.index.etag != before.etag
    assert world.index.gzip == before.gzip
