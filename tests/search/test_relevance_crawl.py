"""A crawl leaves the search server with what front ends need: the synonyms of the profile, and the preset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from tests.crawling import Place

from .corpus import client_of

PROFILES = """\
profiles:
  plone:
    name: Plone
    classifiers: ["Framework :: Plone"]
"""
SYNONYMS = "    synonyms: [[sso, single sign on], {root: survey, synonyms: [form]}]\n"
OPTIONS = Options(projects=3, members={"plone": 2}, only_members=True, most_releases=1, empty=0, missing=0)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


async def test_a_crawl_gives_a_collection_the_synonyms_of_its_profile_and_the_preset(
    place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "profiles.yaml"
    client = client_of(place.server)
    for text, expected in ((PROFILES + SYNONYMS, 2), (PROFILES, 0)):
        file.write_text(text)
        await place.crawl("pypi", settings={"PROFILES_FILE": file}, profile="plone")
        assert len(client.api_call.get("/collections/plone-1/synonyms", dict)["synonyms"]) == expected
    presets = {preset["name"] for preset in client.api_call.get("/presets", dict)["presets"]}
    assert {"pyf-search-plone", "pyf-mark-plone"} <= presets
    client.api_call.close()
