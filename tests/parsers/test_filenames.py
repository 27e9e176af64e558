"""A file shown under the wrong release would give that release wrong dates, yanks and Python versions."""

from __future__ import annotations

import pytest

from pyf_scrapy.parsers.filenames import ReleaseFinder

VERSIONS = [
    "0.12.1",
    "0.12.01",
    "0.4.5-",
    "1.0",
    "1.0.post1",
    "1.0+cu121",
    "2004d",
    "3.1.26-1",
    "2.0rc1",
    "unknown",
]


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("lantern_moor-1.0-py3-none-any.whl", "1.0"),
        ("lantern_moor-1.0.0-1-py3-none-any.whl", "1.0"),  # equal by PEP 440
        ("Lantern.Moor-1.0.tar.gz", "1.0"),
        ("lantern-moor-0.12.01.tar.gz", "0.12.01"),  # two releases equal by PEP 440 are kept apart
        ("lantern-moor-0.12.1.tar.gz", "0.12.1"),
        ("lantern-moor-0.12.1.0.tar.gz", "0.12.1"),
        ("lantern_moor-1.0+cu121-py3-none-any.whl", "1.0+cu121"),
        ("lantern_moor-1.0_cu121-cp36-cp36m-linux_x86_64.whl", "1.0+cu121"),
        ("lantern.moor-0.4.5_-py2.7.egg", "0.4.5-"),
        ("lantern.moor-0.4.5-.tar.gz", "0.4.5-"),
        ("lantern.moor-2004d.tar.gz", "2004d"),
        ("lantern.moor-unknown.zip", "unknown"),
        ("lantern.moor-3.1.26-1.tar.gz", "3.1.26-1"),
        ("lantern.moor-1.0.linux-x86_64.tar.gz", "1.0"),
        ("lantern.moor-1.0.post1.win-amd64-py2.7.exe", "1.0.post1"),
        ("lantern.moor-2.0RC1.tar.bz2", "2.0rc1"),
        ("lantern.moor-1.0.post2.tar.gz", "1.0"),  # not listed: the release it was uploaded to
        ("lantern.moor-1.5.tar.gz", None),
        ("lantern.moor.tar.gz", None),
        ("kelp-1.0.tar.gz", None),  # another project's
        ("", None),
        ("lantern.moor-1.0" + "0" * 1000 + ".tar.gz", None),
    ],
)
def test_release_of_a_file(filename: str, version: str | None) -> None:
    assert ReleaseFinder("Lantern.Moor", VERSIONS).version(filename) == version


def test_without_listed_versions_the_standard_names_tell() -> None:
    finder = ReleaseFinder("kelp", ())
    assert finder.version("kelp-1.0-rc.1.tar.gz") is None  # the name could be "kelp-1.0"
    assert finder.version("kelp-1.00.tar.gz") == "1.0"
    assert finder.version("kelp-2.0-py3-none-any.whl") == "2.0"
    assert finder.version("kelp-2.0-py3.8.egg") is None


def test_versions_too_long_for_a_number_do_not_break_it() -> None:
    finder = ReleaseFinder("kelp", ["1" * 512, "1" * 5000])
    assert finder.version("kelp-" + "1" * 512 + ".tar.gz") == "1" * 512
