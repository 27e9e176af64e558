"""Version keys and fields. If these fail, users see a wrong release as the latest of a package."""

from __future__ import annotations

import csv
import re
import time
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from pyf_scrapy.metadata.versions import MAX_INT64, MAX_SORTABLE, VersionFields, sortable, version_fields

KEY = re.compile(r"[0-9a-z]+")

small = st.integers(0, 12)
sizes = st.one_of(small, st.integers(0, 2**40), st.integers(10**98, 10**100))
separators = st.sampled_from(["", ".", "-", "_"])


@st.composite
def written_versions(draw: st.DrawFn) -> str:
    """PEP 440 versions of every form, spelled in every way, near each other often enough to collide."""
    numbers = draw(st.lists(st.one_of(small, st.just(0), sizes), min_size=1, max_size=9))
    text = ".".join("0" * draw(st.integers(0, 2)) + str(number) for number in numbers)
    if draw(st.booleans()):
        text = f"{draw(sizes)}!{text}"
    if draw(st.booleans()):
        letters = draw(st.sampled_from(["a", "b", "c", "rc", "alpha", "BETA", "pre", "preview"]))
        text += f"{draw(separators)}{letters}{draw(separators)}{draw(sizes)}"
    match draw(st.integers(0, 3)):
        case 0:
            text += f"-{draw(sizes)}"
        case 1:
            text += f"{draw(separators)}{draw(st.sampled_from(['post', 'rev', 'r']))}{draw(sizes)}"
    if draw(st.booleans()):
        text += f"{draw(separators)}dev{draw(st.one_of(st.just(''), sizes.map(str)))}"
    if draw(st.integers(0, 3)) == 0:
        segments = st.lists(st.from_regex(r"[a-c0-2]{1,3}", fullmatch=True), min_size=1, max_size=4)
        text += "+" + draw(separators.filter(bool)).join(draw(segments))
    return draw(st.sampled_from(["", "", "v"])) + text


def as_pypi_orders(version: str, *, yanked: bool = False) -> tuple[bool, bool, Version]:
    parsed = Version(version)
    return not yanked, not parsed.is_prerelease, parsed


@settings(max_examples=200)
@given(st.lists(st.tuples(written_versions(), st.booleans()), min_size=2, max_size=16))
def test_key_orders_as_pypi_does(releases: list[tuple[str, bool]]) -> None:
    ordered = sorted(releases, key=lambda release: sortable(release[0], yanked=release[1]))
    expected = [as_pypi_orders(version, yanked=yanked) for version, yanked in ordered]
    assert expected == sorted(expected)


@settings(max_examples=200)
@given(st.lists(written_versions(), min_size=2, max_size=16, unique=True))
def test_spellings_of_one_version_stay_apart_and_side_by_side(versions: list[str]) -> None:
    keys = {version: sortable(version) for version in versions}
    assert len(set(keys.values())) == len(versions)
    ordered = sorted(versions, key=keys.__getitem__)
    runs = [parsed for parsed, _ in groupby(map(Version, ordered))]
    assert len(runs) == len(set(map(Version, versions)))


@settings(max_examples=300)
@given(st.text(), st.text(), st.booleans())
def test_key_of_any_text_is_short_plain_and_its_own(one: str, other: str, yanked: bool) -> None:
    key = sortable(one, yanked=yanked)
    assert KEY.fullmatch(key)
    assert len(key) <= MAX_SORTABLE
    assert (key == sortable(other, yanked=yanked)) == (one == other)
    assert key != sortable(one, yanked=not yanked)


@pytest.mark.parametrize(
    "ordered",
    [
        # What pyf.aggregator gets wrong: two digits, four numbers, one number, CalVer, epochs, posts.
        ["8.43.9", "8.43.10", "8.43.11", "10.0.0"],
        ["5.2.9", "5.2.15", "6.0.0", "6.0.0.1", "6.0.0.2", "6.0.9", "6.0.11", "6.0.11.1"],
        ["9", "10", "11", "42", "20240101"],
        ["2023.12.31", "2024.1.15", "2024.02.01", "1!0.1", "2!0", "10!0"],
        ["9999.0", "10000.0", "99999.1", "20240101120000.1"],
        ["1.0", "1.0+local", "1.0.post1", "1.0-2", "1.0.1"],
        ["1.0.2.dev1", "2.0.10a1", "2.0.10a2", "2.0.10rc1", "0.1"],  # a stable one is above pre-releases
        # The phases of one version by PEP 440, pre-releases before stable ones.
        ["1.dev0", "1a0.dev0", "1a0", "1a0.post0.dev0", "1a0.post0", "1a1", "1b0", "1rc0", "1", "1.post0"],
        [
            "1.0",
            "1.0+a",
            "1.0+a.a",
            "1.0+a.1",
            "1.0+a0",
            "1.0+b",
            "1.0+1",
            "1.0+1.a",
            "1.0+1.1",
            "1.0+2",
            "1.0+10",
        ],
        ["1", "1.0", "1.0.0", "1.0.0.1"],  # one value spelled thrice, then a greater one
        ["0.12.01", "0.12.1", "0.13"],
        ["0", "0.0.1", "0.1", "1" + "0" * 9, "1" + "0" * 34, "1" + "0" * 35, "1" + "0" * 99],
        # Not PEP 440: below everything, by words and numbers.
        ["dev", "dev-9", "dev-10", "trunk", "1.0-final", "0.0.dev0"],
        ["2004d", "2004e", "2010b", "0.0.1"],
        ["0.1dev-r9", "0.1dev-r10", "0.1-step9", "0.1-step10", "1.0alpha1.1"],
    ],
)
def test_golden_orders(ordered: list[str]) -> None:
    keys = [sortable(version) for version in ordered]
    assert keys == sorted(set(keys))


def test_yanked_is_below_not_yanked_of_its_kind() -> None:
    ordered = [
        ("unknown", True),
        ("unknown", False),
        ("3.0a1", True),
        ("2.0", True),
        ("1.0a1", False),
        ("0.9", False),
    ]
    keys = [sortable(version, yanked=yanked) for version, yanked in ordered]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("version", "numbers", "postfix", "is_prerelease"),
    [
        ("1.2.10", (1, 2, 10), "", False),
        ("42", (42, 0, 0), "", False),
        ("6.0.11.1", (6, 0, 11), "1", False),
        ("4.3.11.1.7rc1", (4, 3, 11), "1.7rc1", True),
        ("1.0a1", (1, 0, 0), "a1", True),
        ("1.0.0-RC.1", (1, 0, 0), "rc1", True),
        ("1.0-1", (1, 0, 0), "post1", False),
        ("1.0.post1.dev2", (1, 0, 0), "post1.dev2", True),
        ("1.0dev", (1, 0, 0), "dev0", True),
        ("2!1.0+Ubuntu-1", (1, 0, 0), "+ubuntu.1", False),
        ("3!1.2.3.4.post5", (1, 2, 3), "4.post5", False),
        ("v01.02", (1, 2, 0), "", False),
        ("1.0.202506050705", (1, 0, 202506050705), "", False),
        (f"1.{2**63 - 1}.{2**63}", (1, MAX_INT64, MAX_INT64), "", False),
        ("2004d", (0, 0, 0), "", False),
        ("", (0, 0, 0), "", False),
    ],
)
def test_fields(version: str, numbers: tuple[int, int, int], postfix: str, is_prerelease: bool) -> None:
    fields = version_fields(version)
    assert fields == VersionFields(version, *numbers, postfix, sortable(version), is_prerelease)


@settings(max_examples=200)
@given(written_versions())
def test_fields_rebuild_the_version(version: str) -> None:
    """Nothing is lost between the numbers and the postfix (but the epoch and numbers cut to 64 bits)."""
    fields = version_fields(version)
    parsed = Version(version)
    assert (fields.raw, fields.is_prerelease) == (version, parsed.is_prerelease)
    assert all(0 <= number <= MAX_INT64 for number in (fields.major, fields.minor, fields.bugfix))
    head = f"{parsed.epoch}!{parsed.major}.{parsed.minor}.{parsed.micro}"
    separator = "." if re.match(r"[0-9]|post|dev", fields.postfix) else ""
    assert Version(head + separator + fields.postfix) == parsed


def test_yank_is_in_the_key_of_the_fields() -> None:
    assert version_fields("1.0", yanked=True).sortable == sortable("1.0", yanked=True) != sortable("1.0")


@pytest.mark.parametrize(
    "version",
    [
        "1" * 100_000,
        "1." * 50_000 + "1",
        "1." * 1_999 + "x",
        "1" * 3_999 + "x",
        "1+" + "a." * 1_990 + "!",
        "1.0+" + "1a" * 1_900,
        "1-" * 2_000,
        " " * 100_000 + "x",
        "a1" * 50_000,
        "\ud800\0" * 50_000,
        "٣.٤",
    ],
    ids=range(11),
)
def test_hostile_versions_cost_little(version: str) -> None:
    started = time.thread_time()
    fields = version_fields(version)
    assert time.thread_time() - started < 20
    assert KEY.fullmatch(fields.sortable)
    assert len(fields.sortable) <= MAX_SORTABLE
    assert len(fields.postfix) < 10_000
    assert sortable(version + "1") != fields.sortable


def test_cut_keys_are_ordered_by_what_is_left() -> None:
    long = ["1." * 900 + f"{number}." + "1." * 300 + "7" for number in (2, 9, 10)]
    keys = [sortable(version) for version in long]
    assert {len(key) for key in keys} == {MAX_SORTABLE}
    assert keys == sorted(set(keys))
    assert sortable(long[0] + ".8") != sortable(long[0] + ".9")


def test_all_strange_versions_of_the_registry(real_data: Path) -> None:
    """Every strange version that was seen on PyPI orders as packaging says, legacy ones first."""
    versions = set()
    for path in sorted((real_data / "lists").glob("versions_*.tsv")):
        with path.open(encoding="utf-8", newline="") as lines:
            versions |= {
                row["version"] for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            }
    assert len(versions) > 1_500

    def expected(version: str) -> tuple[bool, bool, Version]:
        try:
            return True, *as_pypi_orders(version)[1:]
        except InvalidVersion:
            return False, False, Version("0")

    keys = {version: sortable(version) for version in versions}
    ordered = [expected(version) for version in sorted(versions, key=keys.__getitem__)]
    assert ordered == sorted(ordered)
    assert len(set(keys.values())) == len(versions)
    assert max(map(len, keys.values())) < 200
