"""The work list: what the index lists and the store does not have, in the order in which it is fetched.

Pure rules of idea 2 of the design: a project is up to date when the serial in its own answer, as stored,
is the one in the index (or a higher one: the index may be an older answer of a cache). Both sides come
sorted by normalized name and are merged, so that a million names need no more memory than their places in
the index.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

#: A project of the index beside the store: its name, serial and offset into the index file, and whether it
#: differs. No class of its own: there are a million.
Compared = tuple[str, int, int, bool]


def _places() -> array[int]:
    return array("Q")


@dataclass
class WorkList:
    """Places (offsets into the index file) of the projects to fetch, by urgency; in each list those that
    failed the last time come last, so that they hold up nobody.

    `queued` were asked for by name, `members` are known to belong to a profile, `hinted` have a name that
    suggests it, `rest` is all else. `unlisted` are the packages that only the store has, with the serial
    stored: the rules for removal decide about them.
    """

    queued: array[int] = field(default_factory=_places)
    members: array[int] = field(default_factory=_places)
    hinted: array[int] = field(default_factory=_places)
    rest: array[int] = field(default_factory=_places)
    unlisted: dict[str, int] = field(default_factory=dict)
    listed: int = 0

    def __len__(self) -> int:
        return len(self.queued) + len(self.members) + len(self.hinted) + len(self.rest)

    def __iter__(self) -> Iterator[int]:
        yield from self.queued
        yield from self.members
        yield from self.hinted
        yield from self.rest


def differences(
    index: Iterable[tuple[str, int, int]],
    stored: Iterable[tuple[str, int]],
    unlisted: Callable[[str, int], object] = lambda name, serial: None,
) -> Iterator[Compared]:
    """Merge the index (name, serial, place) with the store (name, serial), both sorted by name.

    Yields every name of the index. It differs when the index has a higher serial than the store, or none
    (negative). `unlisted` is called with the names and serials that only the store has: whether they vanished
    is not decided here, and never by one index.
    """
    pairs = iter(stored)
    name_stored, serial_stored = next(pairs, (None, 0))
    for name, serial, place in index:
        while name_stored is not None and name_stored < name:
            unlisted(name_stored, serial_stored)
            name_stored, serial_stored = next(pairs, (None, 0))
        if name_stored == name:
            yield name, serial, place, not 0 <= serial <= serial_stored
            name_stored, serial_stored = next(pairs, (None, 0))
        else:
            yield name, serial, place, True
    while name_stored is not None:
        unlisted(name_stored, serial_stored)
        name_stored, serial_stored = next(pairs, (None, 0))


def work_list(
    index: Iterable[tuple[str, int, int]],
    stored: Iterable[tuple[str, int]],
    *,
    members: Container[str],
    wanted: Container[str],
    queued: Container[str] = (),
    packages: Container[str] = (),
    failed: Container[str] = (),
    last_serial: int | None = None,
    hinted: Callable[[str], bool],
    selected: Callable[[str], bool] | None = None,
    full: bool = False,
) -> WorkList:
    """Sort what differs into a `WorkList`; with `full` everything differs.

    `members` are names known to belong to a profile; `wanted` are to be fetched although their serial is
    stored (records or releases are missing), and so are those `queued`, before everything else, and those
    `failed`, which could not be fetched the last time: only an answer ends a failure. `packages` are those
    whose facts are stored. An index of `last_serial` holds all that happened until then and does not know
    what is stored with a higher serial: its silence about that proves nothing. `selected` narrows the names
    (the argument `name=`). `members` and `wanted` may be filled while `stored` is read, before a name is
    compared.
    """
    work, later = WorkList(), WorkList()

    def unlisted(name: str, serial: int) -> None:
        is_newer = last_serial is not None and serial > last_serial
        if name in packages and not is_newer and (selected is None or selected(name)):
            work.unlisted[name] = serial

    listed = 0
    for name, _, place, differs in differences(index, stored, unlisted):
        listed += 1
        # Of a million names hardly one: the cheap questions come first.
        if not (differs or name in wanted or name in failed or name in queued or full):
            continue
        if selected is not None and not selected(name):
            continue
        asked_for, missing, has_failed = name in queued, name in wanted, name in failed
        to = later if has_failed else work
        if asked_for:
            to.queued.append(place)
        elif missing or name in members:
            to.members.append(place)
        elif hinted(name):
            to.hinted.append(place)
        else:
            to.rest.append(place)
    work.listed = listed
    work.queued.extend(later.queued)
    work.members.extend(later.members)
    work.hinted.extend(later.hinted)
    work.rest.extend(later.rest)
    return work
