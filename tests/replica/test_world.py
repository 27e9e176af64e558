"""The invented world: equal for equal options, as large as asked, and as nasty as PyPI."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from trove_classifiers import classifiers as known_classifiers

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Options, Replica
from pyf_scrapy.replica.documents import project_json
from pyf_scrapy.replica.frameworks import FAMILIES
from pyf_scrapy.replica.truth import Project


@pytest.fixture(scope="module")
def world() -> Replica:
    return Replica(Options(projects=4000))


@pytest.fixture(scope="module")
def projects(world: Replica) -> list[Project]:
    found = [world.project(name) for name in world.names()]
    return [project for project in found if project]


def bodies(options: Options) -> list[bytes]:
    replica = Replica(options)
    projects = [replica.project(name) for name in replica.names()]
    return [
        project_json(options.seed, project, project.latest, replica.some_name)
        for project in projects
        if project and project.latest
    ]


def test_same_options_give_the_same_bytes_and_another_seed_others() -> None:
    assert bodies(Options(projects=60)) == bodies(Options(projects=60))
    assert not set(bodies(Options(projects=60))) & set(bodies(Options(projects=60, seed=8)))


def test_these_bytes_never_change() -> None:
    """Otherwise figures of two versions of the program could not be compared."""
    replica = Replica(Options(projects=100, seed=1))
    project = replica.project("junipernook--sampler")
    assert project is not None
    assert (project.serial, project.words) == (20001280, ("linbabel", "junipernook"))
    assert [release.version for release in project.releases] == ["1.1.0", "1.1.1", "1.1.2", "1.2.0"]


def test_names_are_unique_sorted_and_found_by_any_spelling(world: Replica) -> None:
    names = world.names()
    assert len(set(names)) == 4000
    assert names == sorted(names)
    assert [str(canonicalize_name(row.name)) for row in world.rows()] == names
    displayed = [row.name for row in world.rows()]
    assert sum(name != canonicalize_name(name) for name in displayed) > 500
    for name in displayed[::97]:
        project = world.project(name.upper())
        assert project is not None
        assert project.name == name
    assert world.project("requests") is None
    assert world.stale_project("requests", 1) is None
    assert len(world.members("Topic :: Utilities")) > 100


def test_index_and_projects_agree_on_distinct_serials(world: Replica, projects: list[Project]) -> None:
    serials = [row.serial for row in world.rows()]
    assert serials == [project.serial for project in projects]
    assert len(set(serials)) == 4000
    assert max(serials) == world.serial


def test_newer_projects_have_higher_serials(projects: list[Project]) -> None:
    released = [project for project in projects if project.releases]
    by_serial = sorted(released, key=lambda project: project.serial)
    times = [max(release.uploaded for release in project.releases) // 1_000_000 for project in by_serial]
    assert times == sorted(times)


def test_members_are_as_many_as_asked_and_mostly_named_so() -> None:
    """4,000 hinted members of 100,000 must be indexed after at most 4,100 requests: decoys count, too."""
    options = Options(
        projects=3000, members={"plone": 120, "flask": 0}, unhinted=0.0, decoys=0.02, only_members=True
    )
    replica = Replica(options)
    members = replica.members("Framework :: Plone")
    assert len(members) == 120
    assert not replica.members("Framework :: Django")
    hinted = [
        name
        for name in replica.names()
        if name.split("-")[0] in ("collective", "plone", "plonetheme", "products")
    ]
    assert set(members) < set(hinted)
    assert len(hinted) == 122


def test_default_families(world: Replica) -> None:
    found = {key: len(world.members(family.classifier)) for key, family in FAMILIES.items()}
    assert found == {key: round(4000 * family.share) for key, family in FAMILIES.items()}
    plone, django = (set(world.members(f"Framework :: {name}")) for name in ("Plone", "Django"))
    assert len(plone & django) == 4
    assert not all("plone" in name or "collective" in name or "products" in name for name in plone)
    assert not set(world.members("Framework :: Django CMS")) <= django


def test_more_members_than_projects_are_refused() -> None:
    with pytest.raises(ReplicaError, match="members: 30 members"):
        Replica(Options(projects=30, members={"plone": 30}, only_members=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projects": 0}, "projects: 0 is not between 1 and"),
        ({"decoys": 1.5}, "decoys: 1.5 is not a share"),
        ({"members": {"plome": 3}}, "unknown family 'plome'; known: plone, django"),
        ({"members": {"plone": -1}}, "plone=-1 is negative"),
        ({"most_releases": 0}, "most_releases: 0"),
        ({"now": datetime(2026, 1, 1)}, "needs a time zone"),  # noqa: DTZ001
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ReplicaError, match=message):
        Options(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_classifiers_are_those_of_pypi(projects: list[Project]) -> None:
    used = {text for project in projects for release in project.releases for text in release.classifiers}
    assert used <= set(known_classifiers)


def test_every_kind_of_version_occurs_and_none_twice(projects: list[Project]) -> None:
    kinds: Counter[str] = Counter()
    for project in projects:
        versions = [release.version for release in project.releases]
        assert len(versions) == len(set(versions))
        parsed = []
        for text in versions:
            try:
                version = Version(text)
            except InvalidVersion:
                kinds["legacy"] += 1
                continue
            parsed.append(version)
            kinds["pre"] += version.is_prerelease
            kinds["post"] += version.is_postrelease
            kinds["epoch"] += bool(version.epoch)
            kinds["four parts"] += len(version.release) == 4
            kinds["huge"] += max(version.release) > 2**31
            kinds["calendar"] += version.major > 2000
            kinds["not normal"] += str(version) != text
        kinds["spelled twice"] += len(parsed) != len(set(parsed))
        kinds["without files"] += any(not release.kinds for release in project.releases)
        kinds["yanked"] += any(release.yanked and not release.yanked_reason for release in project.releases)
        kinds["yanked with reason"] += any(release.yanked_reason for release in project.releases)
        kinds["own 404"] += any(not release.own_json for release in project.releases)
        kinds["empty"] += not project.releases
        kinds["archived"] += project.status == "archived"
        kinds["hostile"] += project.hostile
    assert min(kinds.values()) > 0
    assert len(kinds) == 16


def test_sizes_are_those_of_pypi(projects: list[Project]) -> None:
    counts = sorted(len(project.releases) for project in projects)
    assert counts[len(counts) // 2] == 3
    assert 100 < counts[-1] <= 200


def test_dates_are_in_the_past_and_a_tenth_is_recent(projects: list[Project]) -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
    newest = [
        max(release.uploaded for release in project.releases) / 1e6
        for project in projects
        if project.releases
    ]
    assert max(newest) < now
    assert 0.08 < sum(time > now - 31 * 86400 for time in newest) / len(newest) < 0.13


def test_release_limit_is_kept() -> None:
    replica = Replica(Options(projects=300, most_releases=2))
    assert max(len(project.releases) for name in replica.names() if (project := replica.project(name))) == 2


def test_no_name_is_that_of_a_real_package(real_data: Path) -> None:
    real = set()
    for path in (real_data / "lists").glob("*.tsv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            real |= {str(canonicalize_name(row["name"])) for row in rows if row.get("name")}
    assert len(real) > 5000
    assert not real & set(Replica(Options(projects=50_000)).names())
