"""Many packages out of a few: copies under other names and in other words.

The replica's READMEs are made of a few hundred words, so that each stands in a third of them and every search
would find thousands of packages. Here words get rarer by rank, as in people's texts (Zipf's law): a copy says
a word as it is or, by a share that rises with the word's rank, an invented one in its place.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from pyf_scrapy.replica.words import ADJECTIVES, FIRST, SECOND, TAILS, THINGS, VERBS

MOST_COPIES = len(TAILS)

TEXTS = ("title", "summary", "first_chapter", "main_content", "changelog", "description")

_COMMON = 8
"""The word of rank n stands in 8/n of the copies."""

_WORD = re.compile("[A-Za-z]+")

_WORDS = (*THINGS, *ADJECTIVES, *VERBS)


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
