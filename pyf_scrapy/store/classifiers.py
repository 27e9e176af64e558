"""Classifiers as small numbers: PyPI has 900 of them and 886,000 projects with ten each."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import bindparam, select

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.store.database import Database, chunks
from pyf_scrapy.store.tables import classifiers

# Distinct sets that are remembered; few sets are common, and memory must not grow with PyPI.
_MEMO = 20_000

_IDS = select(classifiers.c.name, classifiers.c.id).where(
    classifiers.c.name.in_(bindparam("names", expanding=True))
)
_ALL = select(classifiers.c.id, classifiers.c.name)


class ClassifierCodec:
    """Turns tuples of classifiers into bytes and back; order is kept. For any number of threads.

    A classifier is its number in the table `classifiers`, in base 128 (7 bits a byte, the lowest first).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self.decode: Callable[[bytes], tuple[str, ...]] = lru_cache(_MEMO)(self._decode)

    def learn(self, names: Iterable[str]) -> None:
        """Give numbers to names that have none yet, in a transaction of its own.

        Its own, because numbers are remembered: they must not vanish with somebody else's roll-back.
        """
        new = {name for name in names if name not in self._ids}
        if not new:
            return
        with self._lock:
            for chunk in chunks(sorted(new)):
                with self._database.write() as connection:
                    connection.execute(
                        self._database.insert_missing(classifiers), [{"name": name} for name in chunk]
                    )
                    rows = connection.execute(_IDS, {"names": chunk}).all()
                self._ids.update(rows)
                self._names.update((number, name) for name, number in rows)

    def encode(self, names: Iterable[str]) -> bytes:
        """Pack names that were learnt before."""
        return b"".join(_packed(self._ids[name]) for name in names)

    def finder(self, profiles: Iterable[Profile]) -> Callable[[bytes], object]:
        """A function of packed classifiers: true when one of them is what a profile takes, names aside.

        One search for all profiles, because they are unpacked for hardly any project.
        """
        plain = [replace(profile, include=(), exclude=()) for profile in profiles]
        if any(profile.matches("", ()) for profile in plain):
            return lambda packed: True
        self._read_all()
        by_rest: dict[bytes, list[bytes]] = {}
        for number, name in list(self._names.items()):
            if any(profile.matches("", (name,)) for profile in plain):
                packed = _packed(number)
                by_rest.setdefault(packed[1:], []).append(re.escape(packed[:1]))
        if not by_rest:
            return lambda packed: None
        numbers = (b"[%b]%b" % (b"".join(first), re.escape(rest)) for rest, first in by_rest.items())
        # Behind the last byte of another number, or in front.
        return re.compile(rb"(?<![\x80-\xff])(?:%b)" % b"|".join(numbers)).search

    def matcher(self, profile: Profile) -> Callable[[str, bytes], bool]:
        """A function of (normalized name, packed classifiers): whether the profile takes the project.

        Without name globs the answer depends on the classifiers alone and is remembered for each set.
        """
        decode = self.decode
        if profile.include or profile.exclude:
            return lambda name, packed: profile.matches(name, decode(packed))
        known = lru_cache(_MEMO)(lambda packed: profile.matches("", decode(packed)))
        return lambda _name, packed: known(packed)

    def _decode(self, packed: bytes) -> tuple[str, ...]:
        numbers = []
        number = shift = 0
        for byte in packed:
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(number)
                number = shift = 0
        if not all(number in self._names for number in numbers):
            self._read_all()
        try:
            return tuple(self._names[number] for number in numbers)
        except KeyError as error:
            raise StoreError(f"{self._database.shown}: classifier number {error} has no name") from error

    def _read_all(self) -> None:
        """Other processes give numbers, too."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL).all()
        with self._lock:
            self._names.update(rows)
            self._ids.update((name, number) for number, name in rows)


def _packed(number: int) -> bytes:
    packed = bytearray()
    while number > 127:
        packed.append(128 | (number & 127))
        number >>= 7
    packed.append(number)
    return bytes(packed)
