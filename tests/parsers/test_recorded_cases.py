"""Every directory of data/<parser>/<case>/ is a test: input.json gives output.json or exception.json.

output.json leaves out what has its default; `reason` in exception.json is a part of the real one, which
msgspec words. A shape listed here that stops parsing costs users the packages that have it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.clickpy import parse_bulk
from pyf_scrapy.parsers.github import parse_contributors, parse_repository
from pyf_scrapy.parsers.github_graphql import Batch, parse_batch
from pyf_scrapy.parsers.project_json import (
    ProjectRecord,
    ReleaseRecord,
    parse_outline,
    parse_project,
    parse_release,
)
from pyf_scrapy.parsers.provenance import Publisher, parse_provenance
from pyf_scrapy.parsers.pypistats import parse_recent
from pyf_scrapy.parsers.records import Contributor, DownloadCounts, RepositoryRecord
from pyf_scrapy.parsers.simple_index import SimpleIndex, SimplePage, parse_index, parse_simple_page

#: The day of download figures that do not tell it, and how many repositories were asked for at once.
AS_OF = 1_795_219_200
COUNT = 4

DATA = Path(__file__).parent / "data"
PARSERS: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "project_json": (parse_project, ProjectRecord),
    "release_json": (parse_release, ReleaseRecord),
    "simple_index": (parse_index, SimpleIndex),
    "simple_page": (parse_simple_page, SimplePage),
    "github_repository": (parse_repository, RepositoryRecord),
    "github_contributors": (parse_contributors, tuple[Contributor, ...]),
    "github_batch": (partial(parse_batch, count=COUNT), Batch),
    "pypistats": (partial(parse_recent, as_of=AS_OF), DownloadCounts),
    "clickpy": (partial(parse_bulk, as_of=AS_OF), dict[str, DownloadCounts]),
    "provenance": (parse_provenance, tuple[Publisher, ...]),
}
CASES = sorted(path.parent.relative_to(DATA).as_posix() for path in DATA.rglob("input.json"))


class Failure(msgspec.Struct):
    what: str
    reason: str


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    folder = DATA / case
    parse, record_type = PARSERS[case.split("/")[0]]
    body = (folder / "input.json").read_bytes()
    exception = folder / "exception.json"
    if exception.exists():
        expected = msgspec.json.decode(exception.read_bytes(), type=Failure)
        with pytest.raises(ParseError) as caught:
            parse(body)
        assert caught.value.what == expected.what
        assert expected.reason in caught.value.reason
        assert "\n" not in str(caught.value)
    else:
        record = parse(body)
        assert record == msgspec.json.decode((folder / "output.json").read_bytes(), type=record_type)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=record_type) == record


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("project_json/")])
def test_an_outline_says_what_the_whole_says(case: str) -> None:
    """Membership is judged by the outline: the answer must not depend on what it leaves out."""
    body = (DATA / case / "input.json").read_bytes()
    try:
        whole = parse_project(body)
    except ParseError as error:
        if error.reason.startswith(("release", "urls")) or "utf-8" in error.reason.lower():
            assert parse_outline(body).name, "the fault is in what is skipped"
        else:
            with pytest.raises(ParseError):
                parse_outline(body)
    else:
        assert parse_outline(body) == whole.outline
