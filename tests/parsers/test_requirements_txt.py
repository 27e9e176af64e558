"""`-a requirements=FILE`: a line that is passed over silently would be a package that is never indexed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.parsers.requirements_txt import requirement_names


def write(folder: Path, text: str, name: str = "requirements.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_all_forms_of_a_line(tmp_path: Path) -> None:
    write(tmp_path, "Nested.Name\n", "more.txt")
    path = write(
        tmp_path,
        "# a comment\n"
        "Plain\n"
        "pinned==1.0 # why\n"
        "extras[one,two]>=2,<3 ; python_version >= '3.11'\n"
        "Dotted.Name_x ~= 1.4\n"
        "hashed==1.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n"
        "url-named @ https://example.org/x.whl\n"
        "-r more.txt\n"
        "-c constraints.txt\n"
        "-e ./local\n"
        "./also-local\n"
        "git+https://example.org/repo.git\n"
        "--extra-index-url https://example.org/simple\n"
        "plain>=1\n"
        "last",
    )
    passed_over: list[str] = []
    assert requirement_names(path, passed_over) == (
        "plain",
        "pinned",
        "extras",
        "dotted-name-x",
        "hashed",
        "url-named",
        "nested-name",
        "last",
    )
    # What somebody wanted and will not find must be said.
    assert [line.partition(", ")[2] for line in passed_over] == [
        "line 12: -e ./local",
        "line 13: ./also-local",
        "line 14: git+https://example.org/repo.git",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good\nnot a requirement!\n", "line 2"),
        ("-r requirements.txt\n", "includes itself"),
        ("-r absent.txt\n", "cannot read"),
        ("# nothing\n", "names no package"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageProblem, match=message) as caught:
        requirement_names(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match="UTF-8"):
        requirement_names(path)
    with pytest.raises(UsageProblem, match="cannot read"):
        requirement_names(tmp_path)
