"""`scrapy serve -p PROFILE`: who chose what is public must not find the rest in a stream or a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pyf_scrapy.exceptions import NotFoundError
from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.web.application import create_app
from pyf_scrapy.web.security import Slots
from pyf_scrapy.web.site import Site, opened_site
from tests.web.asking import Client
from tests.web.world import World


@pytest.fixture(scope="module")
def chosen(world: World) -> Iterator[Client]:
    """A program that asks an application of a folder with Plone and Django, which serves only Plone."""
    with opened_site(world.settings, load_profiles(), ("plone",)) as site:
        yield Client(create_app(site))


def names(stream: str) -> set[str]:
    found = map(json.loads, stream.splitlines())
    return {line["normalized_name"] for line in found if line["type"] == "project"}


@pytest.mark.parametrize("path", ["/replicate", "/changes?facts=1", "/changes"])
def test_streams_give_what_is_served_and_nothing_else(chosen: Client, world: World, path: str) -> None:
    whole = chosen.get(path)
    assert whole.status_code == 404
    assert "give profile=plone" in whole.json()["detail"]
    and_ = "&" if "?" in path else "?"
    assert chosen.get(f"{path}{and_}profile=django").status_code == 404
    assert chosen.get(f"{path}{and_}profile=plone,django").status_code == 404
    served = chosen.get(f"{path}{and_}profile=plone")
    assert served.status_code == 200
    assert names(served.text) <= set(world.members("Plone"))


def test_the_whole_store_is_given_where_all_of_it_is_served(client: Client, world: World) -> None:
    assert names(client.get("/replicate").text) >= {*world.members("Plone"), *world.members("Django")}


def test_where_no_copies_are_served_nobody_is_told_to_try_again_later(site: Site) -> None:
    client = Client(create_app(replace(site, web=replace(site.web, streams=0), streams=Slots(0))))
    for path in ("/replicate", "/changes?profile=plone"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "no copies are served here")


@pytest.mark.parametrize("path", ["/status", "/api/v1/status"])
def test_the_state_names_no_other_collection(chosen: Client, client: Client, path: str) -> None:
    """Not among the collections, the limits or the profiles of a run."""
    assert "django" in client.get(path).text.lower()
    shown = chosen.get(path).text.lower()
    assert "plone" in shown
    assert "django" not in shown


class TestKeys:
    """`scrapy replicate -p KEY` asks for keys; a collection may have another name."""

    @pytest.fixture
    def named(self, site: Site) -> Site:
        """A profile in two collections, one in a collection with a name of its own, one of another's name."""
        profiles = (
            Profile("plone", "Plone", collection="old-plone"),
            Profile("plone", "Plone"),
            Profile("django", "Django", collection="web"),
            Profile("web", "Web", collection="all"),
        )
        return replace(site, profiles={profile.collection: profile for profile in profiles})

    @pytest.mark.parametrize(
        ("asked", "collection"),
        [("plone", "plone"), ("old-plone", "old-plone"), ("django", "web"), ("web", "all"), ("all", "all")],
    )
    def test_a_key_is_tried_before_a_collection(self, named: Site, asked: str, collection: str) -> None:
        assert named.profile_of_key(asked).collection == collection

    def test_what_is_neither_is_not_there(self, named: Site) -> None:
        with pytest.raises(NotFoundError, match="there is: old-plone, plone, web, all"):
            named.profile_of_key("flask")
