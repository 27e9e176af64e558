"""Reports as files: what fails here fills the disk, loses a report, or deletes what is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.store.lags import Lags
from pyf_scrapy.store.run_reports import (
    MOST_FAILURES,
    Failures,
    HostReport,
    Report,
    prune_reports,
    read_report,
    report_path,
    reports_folder,
    write_report,
)

START = 1_800_000_000  # 2027-01-15 08:00


def report(run: int | None, spider: str = "rss", started_at: int = START) -> Report:
    return Report(
        run=run,
        spider=spider,
        arguments={"profile": "plone"},
        profiles=["plone"],
        collections=["plone"],
        version="1",
        started_at=started_at,
        finished_at=started_at + 5,
        seconds=5.1,
        reason="finished",
        exit_code=0,
        headline="Done.",
        problem=None,
        figures={"fetched": 3},
        hosts={"pypi.org": HostReport(3, 3, 1000, 1, {"200": 2, "304": 1})},
        failures=Failures(),
        lags=Lags(1, 2, None, 4),
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in reports_folder(folder).iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write_report(tmp_path, report(7))
    assert path == tmp_path / "runs" / "20270115T080000Z-rss-7.json"
    assert read_report(path) == report(7)
    assert json.loads(path.read_text())["hosts"]["pypi.org"]["statuses"] == {"200": 2, "304": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    write_report(tmp_path, report(7))
    assert names(tmp_path) == [path.name]


def test_a_report_that_is_no_more_is_none_and_a_broken_one_is_one_line(tmp_path: Path) -> None:
    path = report_path(tmp_path, "rss", START, None)
    assert path.name.endswith("-rss-0.json")
    assert read_report(path) is None
    path.parent.mkdir()
    for broken in (b"", b"[]", b"\xff"):
        path.write_bytes(broken)
        with pytest.raises(StoreError) as error:
            read_report(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_full_disk_leaves_the_report_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(tmp_path, report(7))
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", _no_space)
        with pytest.raises(StoreError, match="No space left"):
            write_report(tmp_path, report(7))
    assert names(tmp_path) == [path.name]
    with pytest.raises(StoreError, match="cannot write"):
        write_report(path, report(7))  # a file stands where the folder should be


def test_text_that_is_no_unicode_is_one_line(tmp_path: Path) -> None:
    odd = msgspec.structs.replace(report(7), arguments={"requirements": "/x/\udcff.txt"})
    with pytest.raises(StoreError, match=r"cannot write .*-rss-7\.json: .*surrogates"):
        write_report(tmp_path, odd)


def _no_space(self: Path, target: Path) -> Path:
    raise OSError(28, "No space left on device")


def test_the_newest_of_each_spider_are_kept(tmp_path: Path) -> None:
    """Else the run of each minute pushes out the report of the weekly one."""
    write_report(tmp_path, report(1, "pypistats"))
    for number in range(2, 7):
        write_report(tmp_path, report(number, started_at=START + number))
    part = report_path(tmp_path, "rss", START, 99).with_suffix(".json.part")
    part.write_text("half")
    for other in ("notes.txt", "20270115T080000Z-rss.json", "20270115T080000Z-rss-1.json.bak"):
        (reports_folder(tmp_path) / other).write_text("not ours")
    prune_reports(tmp_path, "rss", 3, parts=False)
    assert part.exists(), "another run may be writing it"
    prune_reports(tmp_path, "rss", 2, parts=True)
    assert names(tmp_path) == [
        "20270115T080000Z-pypistats-1.json",
        "20270115T080000Z-rss-1.json.bak",
        "20270115T080000Z-rss.json",
        "20270115T080005Z-rss-5.json",
        "20270115T080006Z-rss-6.json",
        "notes.txt",
    ]
    prune_reports(tmp_path / "nowhere", "rss", 2, parts=True)


def test_very_many_failures_are_counted_and_some_named() -> None:
    failures = Failures()
    for number in range(MOST_FAILURES + 5):
        failures.note(f"p{number}", "project", "HTTP  500\n" * 100)
    assert (failures.total, len(failures.first)) == (MOST_FAILURES + 5, MOST_FAILURES)
    assert failures.first[0].reason.startswith("HTTP 500 HTTP 500")
    assert len(failures.first[0].reason) == 500
