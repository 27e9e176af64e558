"""What made a collection, and so who may fill it: any other definition would send its packages out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pyf_scrapy.profiles import Profile

_SHOWN = 5  # names; a requirements file may hold thousands

#: The profiles of profiles.yaml, read only when they matter.
Listed = Callable[[], Mapping[str, Profile]]


class Origin(StrEnum):
    """What says which packages belong to a collection."""

    PROFILE = "profile"  # of profiles.yaml, which may be edited
    CLASSIFIER = "classifier"  # the argument classifier=
    NAMES = "names"  # names= or requirements=, or more of them


def origin_of(definition: Mapping[str, Any], listed: Listed) -> Origin:
    """What made a collection, by the definition that the store remembers of it.

    A store of before has no word for it. Only names and classifiers call a collection, its profile and the
    profile's title the same; unless a profile of profiles.yaml does so, it was them.
    """
    if "origin" in definition:
        return Origin(definition["origin"])
    key, has_classifiers = definition["key"], bool(definition["classifiers"])
    is_bare = key == definition["name"] == definition["collection"]
    is_bare = is_bare and not definition["hints"] and not definition["exclude"]
    if is_bare:
        profile = listed().get(key)
        is_bare = profile is None or profile.name != key or bool(profile.classifiers) != has_classifiers
    if not is_bare:
        return Origin.PROFILE
    return Origin.CLASSIFIER if has_classifiers else Origin.NAMES


def refusal(
    collection: str, definition: Mapping[str, Any], wanted: Profile, origin: Origin, listed: Listed
) -> str | None:
    """Why `wanted` must not fill the collection: one line that says what it holds and what to do. None when
    it may: what made the collection asks again, with more names or classifiers, or an edited profile."""
    made_by = origin_of(definition, listed)
    if made_by == origin and definition["key"] == wanted.key:
        former = definition["classifiers"] if origin is Origin.CLASSIFIER else ()
        # A classifier covers what stands below it.
        if all(wanted.matches("", (classifier,)) for classifier in former):
            return None
    if made_by is Origin.CLASSIFIER:
        former = ";".join(definition["classifiers"])
        return (
            f'the collection {collection} holds what has classifier="{former}": give all of that (there may '
            "be more), or another collection="
        )
    if made_by is Origin.NAMES:
        names = definition["include"]
        shown = ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])
        return (
            f"the collection {collection} holds packages given by name ({shown}): add to them with "
            f"`scrapy crawl project -a names=NAME -a collection={collection}`, or give another collection="
        )
    profile = listed().get(definition["key"])
    if profile is None:
        return (
            f"the collection {collection} belongs to a profile that profiles.yaml does not have any more: "
            "give another collection="
        )
    key, also = profile.key, "" if profile.collection == collection else f" with collection={collection}"
    return (
        f"the collection {collection} belongs to the profile {key}: "
        f"give profile={key}{also}, or another collection="
    )
