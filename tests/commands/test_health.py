"""`scrapy health`: the score of today for a whole collection, as a person or cron asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from scrapy.cmdline import execute

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.extensions.outcome import FIGURES
from pyf_scrapy.replica import Handle, Options, running_replica
from tests.crawling import Place

OPTIONS = Options(projects=60, members={"plone": 10}, only_members=True, most_releases=3, empty=0, missing=0)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "which packages?"),
        ("plone", "unknown argument 'plone'"),
        ("-p nope", "unknown profile 'nope'"),
        ("-p plone -c plone", "not both"),
        ("-c plone -a collection=plone", "not both"),
        ("-p plone -a full=1", "full"),
        ("--profile=plone", "use -p plone"),
        ("-p plone --nonsense", "unknown option '--nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", "health", *command.split()], settings=place.settings())
    output, errors = capsys.readouterr()
    assert ended.value.code == ExitCode.USAGE
    assert message in errors
    assert errors.startswith("scrapy health: ")
    assert (errors.count("\n"), output) == (1, "")
    assert not place.folder.exists(), "nothing is begun"


async def test_a_collection_is_judged_without_pypi(place: Place, replica: Handle) -> None:
    unknown = await asyncio.to_thread(place.run, "health", "-c", "plone", "-L", "WARNING")
    assert (unknown.returncode, "nothing was crawled for 'plone'" in unknown.stderr) == (ExitCode.USAGE, True)
    assert (await place.crawl("pypi", profile="plone")).outcome.exit_code == ExitCode.OK
    replica.reset()
    done = await asyncio.to_thread(place.run, "health", "-p", "plone", "-L", "WARNING")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert "Done." in done.stdout
    again = await asyncio.to_thread(place.run, "health", "-c", "plone", "--json", "-L", "WARNING")
    summary = json.loads(again.stdout)
    assert set(summary) == {"exit_code", "reason", "message", "hosts", *FIGURES}
    assert (summary["exit_code"], summary["passed_on"], summary["documents_sent"]) == (0, 10, 0)
    assert replica.statistics()["total"] == 0


def test_a_search_server_that_is_down_is_one_line(place: Place) -> None:
    place.extra["TYPESENSE_PORT"] = 9
    failed = place.run("health", "-p", "plone", "-L", "ERROR")
    assert failed.returncode == ExitCode.FAILED
    assert "Not done" in failed.stdout
    assert failed.stderr.count("\n") == 1
