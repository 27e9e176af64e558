"""`scrapy crawl project`: a person's own stack must be indexed whole, whatever its classifiers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.spiders.project import ProjectSpider
from tests.crawling import Place

SMALL = Options(projects=60, members={"plone": 4}, only_members=True, most_releases=8, empty=0, missing=0.3)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(SMALL) as handle:
        yield handle


@pytest.fixture
def place(tmp_path: Path, replica: Handle, empty_index: Server) -> Place:
    replica.faults([])
    return Place(tmp_path / "data", replica.url, empty_index)


async def test_a_requirements_file_is_indexed_whatever_the_classifiers(
    place: Place, replica: Handle, tmp_path: Path
) -> None:
    names = replica.replica.names()[:10]
    file = tmp_path / "requirements.txt"
    file.write_text("".join(f"{name}>=0\n" for name in names))
    crawled = await place.crawl("project", requirements=str(file), releases="2", collection="stack")
    assert crawled.outcome.exit_code == 0
    documents = place.documents("stack")
    for name in names:
        project = replica.replica.project(name)
        assert project is not None
        held = [id_ for id_ in documents if id_.startswith(f"{name}==")]
        assert len(held) == min(2, len(project.releases))
        assert f"{name}=={project.latest.version}" in held  # type: ignore[union-attr]  # it has releases


async def test_names_given_later_are_added_and_the_earlier_ones_stay(place: Place, replica: Handle) -> None:
    first, second, *_ = replica.replica.names()
    await place.crawl("project", names=first, collection="stack", releases="latest")
    crawled = await place.crawl("project", names=second.upper().replace("-", "_"), collection="stack")
    assert {id_.split("==")[0] for id_ in place.documents("stack")} == {first, second}
    assert [item.normalized_name for item in crawled.items] == [second]


async def test_a_profile_takes_only_what_belongs_to_it(place: Place, replica: Handle) -> None:
    members = set(replica.replica.members("Framework :: Plone"))
    names = replica.replica.names()
    await place.crawl("project", names=",".join(names), profile="plone")
    assert {id_.split("==")[0] for id_ in place.documents("plone")} == members


async def test_a_classifier_needs_no_profile(place: Place, replica: Handle) -> None:
    await place.crawl("pypi", classifier="Framework :: Plone; Framework :: Zope", collection="mine")
    assert {id_.split("==")[0] for id_ in place.documents("mine")} == set(
        replica.replica.members("Framework :: Plone")
    )


async def test_a_name_that_pypi_does_not_have_is_a_failure_by_name(place: Place, replica: Handle) -> None:
    known = replica.replica.names()[0]
    crawled = await place.crawl("project", names=f"{known},no-such-package", collection="stack")
    assert crawled.outcome.exit_code == 3
    with place.store() as store:
        assert [(f.normalized_name, f.stage) for f in store.failures()] == [("no-such-package", "project")]
    assert {id_.split("==")[0] for id_ in place.documents("stack")} == {known}


async def test_a_release_without_its_own_json_is_partial_and_asked_for_again_when_the_serial_moves(
    place: Place, replica: Handle
) -> None:
    truth = replica.replica
    name, lost = next(
        (project.normalized_name, release.version)
        for project in map(truth.project, truth.names())
        if project
        for release in project.releases
        if not release.own_json
    )
    crawled = await place.crawl("project", names=name, collection="stack")
    assert crawled.outcome.exit_code == 0
    assert crawled.figures["releases_partial"] == 1
    document = place.documents("stack")[f"{name}=={lost}"]
    assert document["partial"]
    assert document["summary"] == ""

    replica.reset()
    await place.crawl("project", names=name, collection="stack")
    path = f"/pypi/{name}/{lost}/json"
    assert path not in replica.statistics(paths=True)["paths"], "the serial has not moved"
    replica.event({"event": "release", "project": name})
    await place.crawl("project", names=name, collection="stack")
    assert replica.statistics(paths=True)["paths"][path] == 1


async def test_a_release_that_fails_is_named_and_fetched_by_the_next_run(
    place: Place, replica: Handle
) -> None:
    truth = replica.replica
    project = next(p for p in map(truth.project, truth.names()) if p and len(p.releases) > 3)
    name, version = project.normalized_name, project.releases[0].version
    replica.faults([{"match": f"/pypi/{name}/{version}/json", "fault": "garbage"}])
    crawled = await place.crawl("project", names=name, collection="stack")
    assert crawled.outcome.exit_code == 3
    assert f"{name}=={version}" not in place.documents("stack")
    with place.store() as store:
        assert version in store.failures()[0].reason
    replica.faults([])
    crawled = await place.crawl("project", names=name, collection="stack")
    assert crawled.outcome.exit_code == 0
    assert f"{name}=={version}" in place.documents("stack")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "which packages"),
        ({"names": "a", "requirements": "b", "collection": "c"}, "which packages"),
        ({"names": "a"}, "where to index"),
        ({"names": "two words", "collection": "c"}, "not a package name"),
        ({"names": " , ", "collection": "c"}, "empty"),
        ({"names": "a", "collection": "c-1"}, "c-1"),
        ({"names": "a", "collection": "c", "releases": "some"}, "releases"),
        ({"names": "a", "collection": "c", "limit": "-1"}, "limit"),
        ({"names": "a", "colection": "c"}, "did you mean 'collection'"),
        ({"names": "a", "profile": "nope"}, "unknown profile"),
        ({"names": "a", "profile": "plone", "classifier": "x"}, "not both"),
        ({"names": "a", "classifier": "x"}, "needs collection"),
        ({"names": "a", "classifier": " ; ", "collection": "c"}, "empty"),
        ({"names": "a", "profile": "plone,django", "collection": "c"}, "2 profiles"),
        ({"requirements": "absent.txt", "collection": "c"}, "cannot read"),
    ],
)
def test_bad_arguments_are_one_line_before_anything_is_asked(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageProblem, match=message) as caught:
        ProjectSpider.check_arguments(arguments, {"DEFAULT_PROFILE": "plone"})
    assert "\n" not in str(caught.value)
