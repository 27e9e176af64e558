"""The work list: what the index lists and the store does not have, in the order in which it is fetched.

Pure rules of idea 2 of the design: a project is up to date when the serial in its own answer, as stored,
equals the one in the index. Both sides come sorted by normalized name and are merged, so that a million
names need no more memory than their places in the index.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field


def _places() -> array[int]:
    return array("Q")


@dataclass
class WorkList:
    """Places (offsets into the index file) of the projects to fetch, by urgency.

    `members` are known to belong to a profile, `hinted` have a name that suggests it, `rest` is all else.
    """

    members: array[int] = field(default_factory=_places)
    hinted: array[int] = field(default_factory=_places)
    rest: array[int] = field(default_factory=_places)
    listed: int = 0

    def __len__(self) -> int:
        return len(self.members) + len(self.hinted) + len(self.rest)

    def __iter__(self) -> Iterator[int]:
        yield from self.members
        yield from self.hinted
        yield from self.rest


def differences(
    index: Iterable[tuple[str, int, int]], stored: Iterable[tuple[str, int]]
) -> Iterator[tuple[str, int, bool]]:
    """Merge the index (name, serial, place) with the store (name, serial), both sorted by name.

    Yields (name, place, differs) for every name in the index. Names that only the store has are passed
    over: whether they vanished is decided by the rules for removal, never by one index.
    """
    pairs = iter(stored)
    name_stored, serial_stored = next(pairs, (None, 0))
    for name, serial, place in index:
        while name_stored is not None and name_stored < name:
            name_stored, serial_stored = next(pairs, (None, 0))
        yield name, place, name_stored != name or serial_stored != serial


def work_list(
    index: Iterable[tuple[str, int, int]],
    stored: Iterable[tuple[str, int]],
    *,
    members: Container[str],
    wanted: Container[str],
    hinted: Callable[[str], bool],
    selected: Callable[[str], bool] | None = None,
) -> WorkList:
    """Sort what differs into a `WorkList`.

    `members` are names known to belong to a profile; `wanted` are to be fetched although their serial is
    stored (records or releases are missing). `selected` narrows the names (the argument `name=`).
    """
    work = WorkList()
    for name, place, differs in differences(index, stored):
        work.listed += 1
        if selected is not None and not selected(name):
            continue
        missing = name in wanted
        if not (differs or missing):
            continue
        if missing or name in members:
            work.members.append(place)
        elif hinted(name):
            work.hinted.append(place)
        else:
            work.rest.append(place)
    return work
