"""pypistats.org: the recent downloads of one project, mirrors left out. https://pypistats.org/api/

Its errors are texts of which some are JSON (`404`, `500`), sent as text/html: judge by the status first.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.records import DownloadCounts
from pyf_scrapy.parsers.wire import NULL

Raw = msgspec.Raw

_RECENT: Final = "pypistats answer"
_SOURCE: Final = "pypistats"


class _Answer(msgspec.Struct):
    data: Raw = NULL


class _Data(msgspec.Struct):
    last_day: Raw = NULL
    last_week: Raw = NULL
    last_month: Raw = NULL


_answer: Final = msgspec.json.Decoder(_Answer)
_data: Final = msgspec.json.Decoder(_Data)


def parse_recent(body: bytes, as_of: int) -> DownloadCounts:
    """Read the answer of /api/packages/NAME/recent.

    `as_of` (epoch seconds, UTC midnight) is the day of the figures, which the answer does not tell. A figure
    that is missing, negative or beyond int64 is None; an answer without any figure (`"data": {}`, an error
    that happens to be JSON, a table of days) tells nothing and is a ParseError, the only error raised.
    """
    with wire.parsing(_RECENT):
        data = wire.required(_RECENT, "data", _data, _answer.decode(body).data)
        figures = [wire.count(raw) for raw in (data.last_day, data.last_week, data.last_month)]
        if figures == [None] * 3:
            raise ParseError(_RECENT, "it has no figures")
        return DownloadCounts(_SOURCE, as_of, *figures)
