"""What is remembered of the jobs: it survives a restart, and nothing in the file stops a schedule."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyf_scrapy.exceptions import AlreadyRunningError, StoreError
from pyf_scrapy.schedule.plan import Record
from pyf_scrapy.schedule.state import State

RECORD = Record(since=1.5, started=2.0, ended=3.0, exit_code=0, message="Done.", running_since=None)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    state = State(tmp_path / "new")
    assert state.read() == {}
    state.write({"sync": RECORD})
    assert State(tmp_path / "new").read() == {"sync": RECORD}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["schedule.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"jobs": []}', b'{"x": ' + b"[" * 100_000, b"\xff", b'{"jobs": {"\xff": {}}}'],
)
def test_a_broken_file_is_told_of_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    state = State(tmp_path)
    state.path.write_bytes(content)
    assert state.read() == {}
    assert "when jobs ran last is not known" in caplog.text
    state.write({"sync": RECORD})
    assert state.read() == {"sync": RECORD}


@pytest.mark.parametrize(
    "broken",
    [
        *("{}", "null", '{"since": "x"}', '{"since": 1, "message": 5}', '{"since": 1, "exit_code": 1.5}'),
        *('{"since": -1e300}', '{"since": 1, "started": 1e300}', '{"since": 1, "soon": 9e99}'),
    ],
)
def test_what_is_broken_about_one_job_is_told_and_costs_no_other_its_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """An impossible time would end every schedule that computes with it, and the list."""
    state = State(tmp_path)
    state.write({"sync": RECORD})
    text = state.path.read_text().replace('"jobs": {', f'"jobs": {{"github": {broken},')
    state.path.write_text(text)
    assert state.read() == {"sync": RECORD}
    assert "github (" in caplog.text
    assert "when it ran last is not known" in caplog.text


def test_a_file_that_may_not_be_read_is_told_of_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = State(tmp_path)
    state.path.symlink_to(state.path)
    assert state.read() == {}
    assert "cannot be read" in caplog.text
    state.write({"sync": RECORD})
    assert state.read() == {"sync": RECORD}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        State(tmp_path / "file").write({})


def test_one_schedule_at_a_time(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    assert not second.is_taken
    first.take()
    assert second.is_taken
    with pytest.raises(AlreadyRunningError, match="already running in"):
        second.take()
    first.lock.release()
    assert not second.is_taken
    second.take()
    second.lock.release()
