"""Real packages come back from the store as they were; else documents would differ from PyPI's facts."""

from __future__ import annotations

from pathlib import Path

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.project_json import ProjectRecord, parse_project
from pyf_scrapy.store import PackageFacts, Store


def test_real_packages_come_back_as_they_were(store: Store, real_data: Path) -> None:
    records: dict[str, ProjectRecord] = {}
    for path in sorted((real_data / "pypi_json").glob("*.json")):
        try:
            record = parse_project(path.read_bytes())
        except ParseError:
            continue  # the parser's tests say which
        records[record.normalized_name] = record
    assert len(records) > 100
    facts = [PackageFacts(record, record.serial or 0, {}, at=1) for record in records.values()]
    assert store.save_packages(facts) == [1] * len(facts)
    assert store.save_packages(facts) == [1] * len(facts)
    loaded = {package.normalized_name: package for package in store.load_packages(records)}
    assert {name: package.project for name, package in loaded.items()} == records
    assert all(package.classifiers == package.project.metadata.classifiers for package in loaded.values())
