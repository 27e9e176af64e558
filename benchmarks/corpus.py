"""Many packages out of a few: copies under other names and in other words.

The replica's READMEs are made of a few hundred words, so that each stands in a third of them and every search
would find thousands of packages. Here words get rarer by rank, as in people's texts (Zipf's law): a copy says
a word as it is or, by a share that rises with the word's rank, an invented one in its place. READMEs get the
lengths of PyPI's.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import NormalDist
from typing import Any

import msgspec

from pyf_scrapy.replica.words import ADJECTIVES, FIRST, SECOND, TAILS, THINGS, VERBS

MOST_COPIES = len(TAILS)

TEXTS = ("title", "summary", "first_chapter", "main_content", "changelog", "description")

MEDIAN_README, LONG_README = 2_700, 7_900
"""Characters of the median README and of one longer than nine in ten, as in 1,116 recorded from PyPI; their
99th percentile, 19,000, is that of the lognormal distribution through both."""

_COMMON = 8
"""The word of rank n stands in 8/n of the copies."""

_WORD = re.compile("[A-Za-z]+")

_WORDS = (*THINGS, *ADJECTIVES, *VERBS)


def copies(originals: Sequence[bytes], count: int) -> Iterator[list[bytes]]:
    """The documents, lines of JSON, `count` times, each time as those of other packages.

    The next ones are made in a process of its own meanwhile.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        following = pool.submit(_copy, originals, 0)
        for number in range(1, count):
            lines = following.result()
            following = pool.submit(_copy, originals, number)
            yield lines
        yield following.result()


def lengthened(document: dict[str, Any], others: str, number: int) -> dict[str, Any]:
    """The document with a README, if it has one, of another length: cut, or going on with `others`."""
    if "main_content" not in document:
        return document
    share = _draw(document["id"], number)
    normal = NormalDist()
    sigma = math.log(LONG_README / MEDIAN_README) / normal.inv_cdf(0.9)
    length = round(MEDIAN_README * math.exp(sigma * normal.inv_cdf(min(max(share, 0.001), 0.999))))
    start = int(share * max(0, len(others) - length))
    made = {}
    for name in ("main_content", "description"):
        text = document[name]
        made[name] = (
            f"{text} {others[start : start + length - len(text)]}" if len(text) < length else text[:length]
        )
    return document | made


def copied(document: dict[str, Any], number: int, words: Words) -> dict[str, Any]:
    """The document as that of another package: number 0 keeps its name. `words` are those of the number."""
    made = document | {name: words.say(document[name]) for name in TEXTS if name in document}
    if not number:
        return made
    tail = TAILS[number]
    name, normalized = f"{document['name']}.{tail}", f"{document['name_normalized']}-{tail}"
    id_ = f"{normalized}=={document['version']}"
    return made | {
        "id": id_,
        "identifier": id_,
        "name": name,
        "name_normalized": normalized,
        "name_sortable": name.lower(),
    }


def _copy(originals: Sequence[bytes], number: int) -> list[bytes]:
    words = Words(number)
    documents = [msgspec.json.decode(line) for line in originals]
    others = " ".join(document.get("main_content", "") for document in documents)
    return [
        msgspec.json.encode(copied(lengthened(document, others, number), number, words))
        for document in documents
    ]


class Words:
    """The vocabulary of the copies with a number."""

    def __init__(self, number: int) -> None:
        self._other = {
            word: _invented(word, number)
            for rank, word in enumerate(_WORDS, 1)
            if _draw(word, number) >= _COMMON / rank
        }

    def say(self, text: str) -> str:
        """A text in these words."""
        return _WORD.sub(lambda found: self._other.get(found[0].lower(), found[0]), text)


def _draw(word: str, number: int) -> float:
    return zlib.crc32(f"{number}/{word}".encode()) / 2**32


def _invented(word: str, number: int) -> str:
    hashed = zlib.crc32(f"{word}/{number}".encode())
    return FIRST[hashed % len(FIRST)] + SECOND[hashed // len(FIRST) % len(SECOND)]
