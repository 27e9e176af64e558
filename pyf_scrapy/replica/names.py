"""The names of a replica's projects: invented, unique, found again by their normalized form."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica.dice import mixed, shuffled
from pyf_scrapy.replica.frameworks import FAMILIES, Family
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.words import FIRST, SECOND, TAILS

_COMPOUNDS = len(FIRST) * len(SECOND)


class Role(NamedTuple):
    """What a project is: member of up to two families, named like the first of `hints`, or empty."""

    families: tuple[Family, ...] = ()
    decoy: Family | None = None
    empty: bool = False


class Cast:
    """Deals roles to project numbers, exactly as many as the options say, without keeping them."""

    def __init__(self, options: Options) -> None:
        self._order = shuffled(options.projects, options.seed, "roles")
        """Place of a project number in the row of roles."""
        self._ranges: list[tuple[int, int, Family]] = []
        stop = 0
        before = 0
        for key, count in options.counts().items():
            if count:
                start = stop - min(before, count) // 20
                stop = start + count
                self._ranges.append((start, stop, FAMILIES[key]))
                before = count
        self.members = stop
        self._decoys = stop + (round(stop * options.decoys) if self._ranges else 0)
        self._empty = self._decoys + round(max(0, options.projects - stop) * options.empty)
        if self._empty > options.projects:
            raise ReplicaError(
                f"members: {stop} members, {self._decoys - stop} decoys and {self._empty - self._decoys}"
                f" empty projects are more than {options.projects} projects"
            )

    def role(self, number: int) -> Role:
        """The role of a project number."""
        place = self._order[number]
        if place < self.members:
            return Role(tuple(family for start, stop, family in self._ranges if start <= place < stop))
        if place < self._decoys:
            return Role(decoy=self._ranges[place % len(self._ranges)][2])
        return Role(empty=place < self._empty)

    def member_numbers(self) -> Iterator[int]:
        """The numbers of all members of any family."""
        return (number for number, place in enumerate(self._order) if place < self.members)


class Names:
    """Display names in the order of their normalized form, in about 25 bytes a name.

    A name is an invented compound (`quillmark`), with a second word where compounds run out, in the
    pattern of its family or bare; the project's number alone makes it unique.
    """

    def __init__(self, options: Options, cast: Cast) -> None:
        self._seed = options.seed
        self._unhinted = options.unhinted
        self._cast = cast
        self._compounds = shuffled(_COMPOUNDS, options.seed, "compounds")
        names = [self.name_of(number) for number in range(options.projects)]
        order = sorted(
            range(options.projects), key=[str(canonicalize_name(name)) for name in names].__getitem__
        )
        self._numbers = array("I", order)
        self._starts = array("I", bytes(4 * (options.projects + 1)))
        text = bytearray()
        for place, number in enumerate(order):
            text += names[number].encode()
            self._starts[place + 1] = len(text)
        self._text = bytes(text)

    def __len__(self) -> int:
        return len(self._numbers)

    def word(self, number: int) -> str:
        """The invented compound of a project, as in its name."""
        compound = self._compounds[number % _COMPOUNDS]
        return FIRST[compound // len(SECOND)] + SECOND[compound % len(SECOND)]

    def display_at(self, place: int) -> str:
        """The display name at a place of the sorted index."""
        return self._text[self._starts[place] : self._starts[place + 1]].decode()

    def number_at(self, place: int) -> int:
        """The project number at a place of the sorted index."""
        return self._numbers[place]

    def name_of(self, number: int) -> str:
        """The display name of a project number."""
        word = self.word(number)
        tail = TAILS[(number // _COMPOUNDS + number % _COMPOUNDS * 5) % len(TAILS)]
        role = self._cast.role(number)
        draw = mixed(number, self._seed)
        family = role.decoy or (role.families[0] if role.families else None)
        if family and (role.decoy or (draw & 0xFFFF) / 0x10000 >= self._unhinted):
            pattern = family.patterns[(draw >> 16) % len(family.patterns)]
            if pattern.startswith("Products."):
                return pattern.format(word.title() + (tail.title() if number >= _COMPOUNDS else ""))
            separator = "." if "." in pattern else pattern[-3]
            return pattern.format(word if number < _COMPOUNDS else word + separator + tail)
        return _bare(word, tail, (draw >> 16) % 8)

    def place(self, normalized_name: str) -> int:
        """Where a normalized name stands in the sorted index, or would stand."""
        return bisect_left(
            range(len(self)), normalized_name, key=lambda i: str(canonicalize_name(self.display_at(i)))
        )

    def find(self, normalized_name: str) -> int | None:
        """The place of a normalized name in the sorted index, None when there is no such project."""
        place = self.place(normalized_name)
        if place < len(self) and canonicalize_name(self.display_at(place)) == normalized_name:
            return place
        return None


def _bare(word: str, tail: str, style: int) -> str:
    """The two words in one of the eight styles of general names."""
    if style < 3:
        return f"{word}-{tail}"
    if style == 3:
        return f"{word}_{tail}"
    if style == 4:
        return f"{word}.{tail}"
    if style == 5:
        return f"{word.title()}-{tail}"
    return f"{word.upper()}_{tail}" if style == 6 else f"{word}--{tail}"
