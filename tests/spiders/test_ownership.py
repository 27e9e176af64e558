"""A collection is filled by what made it: any other definition would delete all that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from pyf_scrapy.session import Session
from pyf_scrapy.spiders.base import PackageSpider
from pyf_scrapy.spiders.project import ProjectSpider
from pyf_scrapy.spiders.pypi import PypiSpider
from tests.conftest import drop_all
from tests.crawling import Place

PLONE, DJANGO = "Framework :: Plone", "Framework :: Django"
SPIDERS: dict[str, type[PackageSpider]] = {"pypi": PypiSpider, "project": ProjectSpider}
OPTIONS = Options(projects=40, members={"plone": 5, "django": 4}, only_members=True, most_releases=2, empty=0)


@dataclass(frozen=True)
class Given:
    """A crawl that fills a collection: its spider and its arguments but `collection`."""

    spider: str
    arguments: dict[str, Any]


def by_profile(key: str) -> Given:
    return Given("pypi", {"profile": key})


def by_classifier(*classifiers: str) -> Given:
    return Given("pypi", {"classifier": ";".join(classifiers)})


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def by_names(replica: Handle) -> Given:
    """A person's stack; one of its packages is of Plone, one of nothing."""
    members = replica.replica.members(PLONE)
    stranger = next(name for name in replica.replica.names() if name not in members)
    return Given("project", {"names": f"{members[0]},{stranger}"})


async def refused(place: Place, given: Given, collection: str) -> str:
    """The line of a crawl that must be refused, before anything is changed."""
    before = place.documents(collection)
    with place.store() as store:
        known = store.collection(collection)
    settings = place.settings()
    targets = SPIDERS[given.spider].check_arguments(given.arguments | {"collection": collection}, settings)
    session = Session(given.spider, settings, targets, now=date(2026, 1, 1))
    try:
        with pytest.raises(UsageProblem) as problem:
            await session.open()
    finally:
        await session.close()
    assert problem.value.exit_code == 2
    assert place.documents(collection) == before
    with place.store() as store:
        assert store.collection(collection) == known
    line = str(problem.value)
    assert "\n" not in line
    assert "another collection=" in line
    return line


def forget_what_made_it(place: Place, collection: str) -> None:
    """Leave the store as it was made before it had a word for that."""
    with place.store() as store:
        row = store.collection(collection)
        assert row is not None
        definition = {key: value for key, value in row.definition.items() if key != "origin"}
        store.open_collection(collection, definition, row.releases, row.physical, row.created_at, row.server)


@pytest.mark.parametrize("is_old", [False, True], ids=["with the word", "of an older program"])
@pytest.mark.parametrize("collection", ["plone", "stack"])
async def test_what_one_kind_made_no_other_kind_empties(
    tmp_path: Path, empty_index: Server, replica: Handle, by_names: Given, collection: str, is_old: bool
) -> None:
    """`plone` is also the name of a profile."""
    kinds = {
        "profile": by_profile("plone"),
        "classifier": by_classifier(PLONE),
        "names": by_names,
    }
    said = {"profile": "profile=plone", "classifier": f'classifier="{PLONE}"', "names": "project -a names="}
    for made_by, maker in kinds.items():
        place = Place(tmp_path / made_by, replica.url, empty_index)
        with place.connection() as connection:
            drop_all(connection)
        made = await place.crawl(maker.spider, **maker.arguments, collection=collection)
        assert made.outcome.exit_code == 0
        for kind, given in kinds.items():
            if is_old:
                forget_what_made_it(place, collection)
            if kind != made_by:
                line = await refused(place, given, collection)
                assert said[made_by] in line
                if made_by != "profile":
                    assert "profile" not in line
        again = await place.crawl(maker.spider, **maker.arguments, collection=collection)
        assert (again.outcome.exit_code, again.figures["documents_deleted"]) == (0, 0)


async def test_other_classifiers_or_another_profile_are_refused_more_of_them_are_not(
    place: Place, replica: Handle
) -> None:
    await place.crawl("pypi", classifier=PLONE, collection="mine")
    assert f'classifier="{PLONE}"' in await refused(place, by_classifier(DJANGO), "mine")
    both = await place.crawl("pypi", classifier=f"{DJANGO};{PLONE}", collection="mine")
    assert both.outcome.exit_code == 0
    held = {id_.split("==")[0] for id_ in place.documents("mine")}
    assert held == {*replica.replica.members(PLONE), *replica.replica.members(DJANGO)}
    assert f'classifier="{DJANGO};{PLONE}"' in await refused(place, by_classifier(PLONE), "mine")
    # "Framework" has both below it.
    assert (await place.crawl("pypi", classifier="Framework", collection="mine")).outcome.exit_code == 0

    await place.crawl("pypi", profile="plone", collection="packages")
    line = await refused(place, by_profile("django"), "packages")
    assert "give profile=plone with collection=packages" in line


async def test_an_edited_profile_fills_its_collection_and_a_deleted_one_is_not_named(
    place: Place, replica: Handle
) -> None:
    file = place.folder.with_name("profiles.yaml")
    profile = "profiles:\n  {}:\n    name: Mine\n    classifiers:\n      - '{}'\n"

    def listed(key: str, classifier: str) -> dict[str, Any]:
        file.write_text(profile.format(key, classifier))
        return {"PROFILES_FILE": str(file)}

    await place.crawl("pypi", profile="mine", settings=listed("mine", PLONE))
    edited = await place.crawl("pypi", profile="mine", settings=listed("mine", DJANGO))
    assert edited.outcome.exit_code == 0
    held = {id_.split("==")[0] for id_ in place.documents("mine")}
    assert held == set(replica.replica.members(DJANGO))
    place.extra |= listed("other", DJANGO)
    line = await refused(place, by_profile("other"), "mine")
    assert "does not have any more" in line
    assert "profile=" not in line
