"""The Python API, as scripts and notebooks use it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy import api
from pyf_scrapy.exceptions import AlreadyRunningError, NotFoundError, SearchError, UsageProblem
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import CHECKOUT, Place

OPTIONS = Options(projects=30, members={"plone": 10}, only_members=True, most_releases=2, empty=0, missing=0)
DOCUMENTATION = CHECKOUT / "docs" / "python-api.md"


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.fixture
def there(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A notebook in a folder of its own, with settings in its environment."""
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return place


def test_the_examples_of_the_documentation_work(there: Place, replica: Handle) -> None:
    """All on one page, one after the other, as somebody types them; in a loop, as in a notebook."""
    text = DOCUMENTATION.read_text().replace(
        '["plone.api", "Zope"]', repr(replica.replica.members("Framework :: Plone")[:2])
    )
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 7
    names: dict[str, object] = {}

    async def notebook() -> None:
        for example in examples:
            exec(compile(example, DOCUMENTATION.name, "exec"), names)  # noqa: S102

    asyncio.run(notebook())
    result, page, package = names["result"], names["page"], names["package"]
    assert isinstance(result, api.CrawlResult)
    assert result.figures["packages_indexed"] == 2
    assert not result.some_failed
    assert isinstance(page, api.Page)
    assert isinstance(package, api.Package)
    assert package.version == package.versions[0]["version"]


def test_what_is_wrong_is_an_error_of_the_project(there: Place) -> None:
    with pytest.raises(UsageProblem, match="which packages"):
        api.crawl(spider="github")
    with pytest.raises(UsageProblem, match="no argument 'nonsense'"):
        api.crawl("plone", nonsense=1)
    for wrong in (
        lambda: api.crawl("plone", settings={"NONSENSE": 1}),
        lambda: api.search(profile="plone", settings={"TYPESENSE_PORT": "often"}),
        lambda: api.search(profile="plone", collection="plone"),
        lambda: api.search(profile="plone,django"),
        lambda: api.search(),
    ):
        with pytest.raises(UsageProblem):
            wrong()
    with pytest.raises(SearchError, match="scrapy crawl pypi -a profile=plone"):
        api.search(profile="plone")
    with pytest.raises(SearchError, match="scrapy crawl pypi -a profile=plone"):
        api.search(profile="plone", settings={"SERVE_RATE": None})  # as if it was not given, never "None"
    with there.running("pypi"), pytest.raises(AlreadyRunningError):
        api.crawl("plone")


def test_a_source_that_is_down_is_one_line(there: Place) -> None:
    with pytest.raises(api.CrawlError, match=r"127\.0\.0\.1:1") as caught:
        api.crawl("plone", settings={"PYPI_URL": "http://127.0.0.1:1"})
    assert "\n" not in str(caught.value)
    assert caught.value.result is not None
    assert caught.value.result.exit_code == 1


async def test_a_package_that_is_not_there(there: Place) -> None:
    await there.crawl("pypi", profile="plone", limit="3")
    with pytest.raises(NotFoundError, match="no package 'nothing-like-it' in plone"):
        api.show("nothing-like-it", profile="plone")
    assert api.status(profile="plone").collections[0].collection == "plone"
    assert api.search(settings={"DEFAULT_PROFILE": "plone"}).found
    assert api.search(settings={"TYPESENSE_COLLECTION": "plone"}).found


def test_a_crawl_that_takes_too_long_is_interrupted_and_goes_on(there: Place) -> None:
    with pytest.raises(api.CrawlError):
        api.crawl("plone", timeout=0.5)
    assert api.crawl("plone").exit_code == 0


def test_what_it_exports_is_there() -> None:
    assert all(hasattr(api, name) for name in api.__all__)
