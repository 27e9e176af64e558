"""docs/reading-a-run.md: who sees a line that is not there does not know whether to get up at night."""

from __future__ import annotations

import re

import msgspec

from pyf_scrapy.store.run_reports import HostReport, Report
from tests.messages import PACKAGE, every_text, messages

PAGE = (PACKAGE.parent / "docs" / "reading-a-run.md").read_text()
BEFORE_SCRAPY = PAGE.partition("## Lines of Scrapy")[0]

#: Errors that only commands tell, though their classes are those of runs.
NOT_OF_A_RUN = {
    "searching: …",
    "only a SQLite store can be copied this way, use pg_dump for PostgreSQL",
    "… is the store itself, copy it to another file",
    "cannot copy the store to …: …",
    "… was opened to be read only",
    "… cannot be written: …",
}


def rows(text: str = BEFORE_SCRAPY) -> list[tuple[str, str, str]]:
    """The rows of the tables of messages: messages, meaning, action."""
    found = re.findall(r"^\| (`.*?) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    return [(first, second, third) for first, second, third in found]


def documented() -> set[str]:
    """The messages of the page; ' stands there for a backtick."""
    return {text for first, _, _ in rows() for text in re.findall(r"`([^`]+)`", first)}


def shown(text: str) -> str:
    """A message as the page can have it."""
    return text.replace("`", "'")


def test_every_message_of_a_run_is_explained() -> None:
    told = documented() | NOT_OF_A_RUN
    missing = {text: place for text, place in messages().items() if shown(text) not in told}
    assert not missing, "add them to docs/reading-a-run.md"


def test_no_message_is_explained_that_nobody_writes() -> None:
    assert documented() <= {shown(text) for text in every_text() | messages().keys()}


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    assert len(rows()) > 60
    with_scrapy = rows(PAGE.partition("## Reports")[0])
    assert not [row for row in with_scrapy if not (row[1].strip() and row[2].strip())]


def test_every_key_of_a_report_is_explained() -> None:
    table = PAGE.partition("## Reports")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    keys = {field.name for struct in (Report, HostReport) for field in msgspec.structs.fields(struct)}
    assert keys <= named
