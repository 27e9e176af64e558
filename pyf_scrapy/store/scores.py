"""The health scores as last seen, so that a move of one is an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from pyf_scrapy.store.changes import Happened
from pyf_scrapy.store.copies import COPY
from pyf_scrapy.store.part import (
    NAMES,
    NOTE,
    AnyRow,
    StorePart,
    execute,
    note,
    read_meta,
    rows_by_name,
    without_repeats,
)
from pyf_scrapy.store.tables import scores

_SCORES = select(scores).where(scores.c.normalized_name.in_(NAMES))


class Score(NamedTuple):
    """The health of a package, 0 to 100, as it was indexed at `at`."""

    normalized_name: str
    score: int
    at: int


class Scores(StorePart):
    """The method of `Store` about health scores."""

    def note_scores(self, found: Sequence[Score]) -> None:
        """Note scores of packages; the event `score_moved` tells of one that is another than before.

        Writes only when there is one. Not in a copy: there the events are those of its source.
        """
        with self._database.read() as connection:
            known = rows_by_name(connection, _SCORES, (one.normalized_name for one in found))
            if read_meta(connection, COPY) is not None or not any(_is_news(one, known) for one in found):
                return
        with self._database.write() as connection:
            for some in without_repeats(found, lambda one: one.normalized_name):
                known = rows_by_name(connection, _SCORES, (one.normalized_name for one in some))
                news = [one for one in some if _is_news(one, known)]
                execute(connection, self._database.upsert(scores), [one._asdict() for one in news])
                execute(
                    connection, NOTE, [_moved(one, known) for one in news if one.normalized_name in known]
                )


def _is_news(one: Score, known: Mapping[str, AnyRow]) -> bool:
    before = known.get(one.normalized_name)
    return before is None or bool(before.score != one.score and before.at <= one.at)


def _moved(one: Score, known: Mapping[str, AnyRow]) -> dict[str, Any]:
    detail = {"from": known[one.normalized_name].score, "to": one.score}
    return note(one.at, one.normalized_name, Happened("score_moved", detail=detail))
