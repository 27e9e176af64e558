"""`scrapy export`: what it writes is read by other programs, so a half file or another key breaks them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from scrapy.cmdline import execute

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.exceptions import ReplicationError, StoreError, UsageProblem
from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.replication.files import write_whole
from tests.crawling import Place

OPTIONS = Options(projects=30, members={"plone": 6}, most_releases=2)


@pytest.fixture(scope="module")
def replica() -> Iterator[Handle]:
    with running_replica(OPTIONS) as handle:
        yield handle


def exported(place: Place, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", "export", *arguments], settings=place.settings())
    output, errors = capsys.readouterr()
    return int(ended.value.code or 0), output, errors


async def test_facts_and_documents_are_lines(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await place.crawl("pypi", profile="plone")
    code, output, errors = exported(place, capsys, "-p", "plone")
    facts = [json.loads(line) for line in output.splitlines()]
    assert (code, errors, output.isascii()) == (0, "", True)
    assert [line["type"] for line in facts] == ["project"] * 6
    assert list(facts[0]) == [
        *("type", "name", "normalized_name", "serial", "status", "checked_at", "classifiers", "package")
    ]
    whole, packed = tmp_path / "whole.jsonl", tmp_path / "plone.jsonl.gz"
    code, output, _ = exported(place, capsys, "--whole", "-o", str(whole), "--json")
    assert json.loads(output) == {"file": str(whole), "lines": len(whole.read_text().splitlines())}
    assert len(whole.read_text().splitlines()) > 20
    exported(place, capsys, "-p", "plone", "-o", str(packed))
    assert list(map(json.loads, gzip.decompress(packed.read_bytes()).splitlines())) == facts
    code, output, _ = exported(place, capsys, "-c", "plone", "--documents")
    documents = {json.loads(line)["id"]: json.loads(line) for line in output.splitlines()}
    for document in documents.values():
        document.pop("health_score_last_calculated", None)
    assert documents == place.documents("plone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "which collection?"),
        (("-p", "nope"), "unknown profile"),
        (("-p", "plone", "extra"), "unknown argument 'extra'"),
        (("-p", "plone", "--whole"), "--whole"),
        (("-p", "plone", "--json"), "give -o FILE"),
        (("-p", "plone"), "there is no store"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, output, errors = exported(place, capsys, *arguments)
    assert (code, output, errors.count("\n")) == (ExitCode.USAGE, "", 1)
    assert message in errors


def test_a_file_of_before_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    write_whole(path, [b"old\n"])

    def broken() -> Iterator[bytes]:
        yield b"new\n"
        raise StoreError("the store is gone")

    with pytest.raises(StoreError):
        write_whole(path, broken())
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("all.jsonl", b"old\n")]
    assert path.stat().st_mode & 0o077, "it is a file as any other, not one of a secret"
    with pytest.raises(ReplicationError, match="cannot be written: No such file"):
        write_whole(tmp_path / "nowhere" / "x", [])


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    """Not the device, the pipe or the link that a path leads to: root would have no /dev/null any more."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        with pytest.raises(UsageProblem, match="without -o"):
            write_whole(path, [b"line\n"])
    assert pipe.is_fifo()
    link.unlink()
    link.symlink_to(file)
    for _ in range(2):
        write_whole(link, [b"line\n"])
    assert link.is_symlink()
    assert file.read_bytes() == b"line\n"
    assert sorted(tmp_path.iterdir()) == [file, link, pipe]
