"""Deleting what is there loses documents; keeping what is gone shows malware."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.parsers.records import File, Metadata, ProjectRecord, Role
from pyf_scrapy.sync.removal import (
    FEW,
    MANY,
    SECOND_INDEX,
    SHARE,
    IndexVerdict,
    has_vanished,
    is_recreated,
    is_replaced,
    is_tombstone,
    judge_index,
    returns,
    too_many,
)


class TestIndex:
    def test_the_first_one_is_believed(self) -> None:
        verdict = judge_index(serial=1, count=1, last_serial=None, last_count=None)
        assert verdict is IndexVerdict.ACCEPTED

    @pytest.mark.parametrize(
        ("serial", "verdict"),
        [(99, IndexVerdict.OLDER), (100, IndexVerdict.ACCEPTED), (None, IndexVerdict.ACCEPTED)],
    )
    def test_a_lower_serial_is_an_older_answer_of_a_cache(
        self, serial: int | None, verdict: IndexVerdict
    ) -> None:
        assert judge_index(serial=serial, count=500, last_serial=100, last_count=500) is verdict

    def test_without_the_last_serial_only_the_size_counts(self) -> None:
        assert judge_index(serial=9, count=9, last_serial=None, last_count=9) is IndexVerdict.ACCEPTED

    @pytest.mark.parametrize(
        ("count", "verdict"),
        [
            (886_323 + 360, IndexVerdict.ACCEPTED),
            (886_323 - 500, IndexVerdict.ACCEPTED),
            (886_323 - 501, IndexVerdict.SMALLER),
            (443_000, IndexVerdict.SMALLER),
        ],
    )
    def test_one_that_was_cut_off_is_refused(self, count: int, verdict: IndexVerdict) -> None:
        assert judge_index(serial=101, count=count, last_serial=100, last_count=886_323) is verdict

    def test_one_that_is_older_and_smaller_is_older(self) -> None:
        """It is no reason to complain: every cache may answer with it."""
        verdict = judge_index(serial=99, count=1, last_serial=100, last_count=886_323)
        assert verdict is IndexVerdict.OLDER


class TestTooMany:
    @pytest.mark.parametrize(
        ("gone", "known", "refused"),
        [
            (10, 10, False),
            (11, 11, True),
            (11, 2_200, False),
            (12, 2_200, True),
            (20, 4_000, False),
            (21, 4_000, True),
            (500, 1_000_000, False),
            (501, 1_000_000, True),
            (0, 0, False),
        ],
    )
    def test_by_number_and_share(self, gone: int, known: int, refused: bool) -> None:
        assert too_many(gone, known) is refused

    @given(gone=st.integers(-1000, 3000), known=st.integers(0, 10**6))
    def test_fewer_of_more_are_never_doubted_more(self, gone: int, known: int) -> None:
        assert too_many(gone, known) >= too_many(gone - 1, known)
        assert too_many(gone, known) >= too_many(gone, known + 1)
        assert not (too_many(gone, known) and gone <= max(FEW, min(MANY, known * SHARE)))


class TestVanished:
    def test_only_both_404s_or_quarantine_prove_it(self) -> None:
        statuses = (200, 301, 304, 403, 404, 410, 429, 500, 503)
        markers = (None, "active", "archived", "quarantined", "deprecated")
        proofs = {
            (json, page, marker)
            for json, page, marker in itertools.product(statuses, statuses, markers)
            if has_vanished(json, page, marker)
        }
        assert proofs == {(404, 404, marker) for marker in markers} | {(404, 200, "quarantined")}

    def test_an_older_page_may_show_a_quarantine_that_is_over(self) -> None:
        assert not has_vanished(404, 200, "quarantined", older=True)
        assert has_vanished(404, 404, None, older=True)

    @pytest.mark.parametrize(("after", "is_second"), [(SECOND_INDEX - 1, False), (SECOND_INDEX, True)])
    def test_only_an_index_that_no_cache_can_have_kept_is_a_second_one(
        self, after: int, is_second: bool
    ) -> None:
        assert SECOND_INDEX > 30 * 60 + 300, "PyPI's CDN keeps an index that long"
        assert is_tombstone(1_000_000, 1_000_000 + after) is is_second

    @pytest.mark.parametrize(
        ("serial", "promised", "back"),
        [
            (99, None, False),
            (100, None, False),  # as it was before: a cache's answer
            (101, None, True),
            (100, 100, True),  # an index lists it again at this serial: it had been removed wrongly
            (99, 100, False),
            (99, 99, True),
        ],
    )
    def test_what_vanished_returns_by_newer_facts_or_by_the_index(
        self, serial: int, promised: int | None, back: bool
    ) -> None:
        assert returns(100, serial, promised) is back


def project(
    *files: tuple[str, str, int | None], owners: tuple[str, ...] = ("ann",), roles: bool = True
) -> ProjectRecord:
    """A project with these files: version, filename, time of upload."""
    listed: dict[str, tuple[File, ...]] = {}
    for version, filename, uploaded in files:
        file = File(filename=filename, sha256=f"sha of {filename}", upload_time=uploaded)
        listed[version] = (*listed.get(version, ()), file)
    return ProjectRecord(
        name="pkg",
        normalized_name="pkg",
        version="1",
        serial=1,
        metadata=Metadata(name="pkg", version="1"),
        files=listed,
        roles=tuple(Role("Owner", owner) for owner in owners) if roles else None,
    )


OLD = project(("1", "pkg-1.tar.gz", 100), ("2", "pkg-2.tar.gz", 200))


class TestRecreated:
    """An unflagged one inherits the score of the project whose name it took."""

    def test_the_same_project_is_not(self) -> None:
        assert not is_recreated(OLD, OLD, gap=True)
        assert not is_recreated(OLD, OLD, gap=False)

    def test_after_a_gap_a_name_without_any_file_of_before_is_another_project(self) -> None:
        assert is_recreated(OLD, project(("1", "pkg-1.zip", 300)), gap=True)

    def test_after_a_gap_other_owners_are_another_project(self) -> None:
        grown = project(("1", "pkg-1.tar.gz", 100), ("3", "pkg-3.tar.gz", 300), owners=("bob",))
        assert is_recreated(OLD, grown, gap=True)
        assert not is_recreated(OLD, grown, gap=False)  # handed over in the open

    def test_a_quarantine_after_which_the_first_release_is_gone_is_no_recreation(self) -> None:
        assert not is_recreated(OLD, project(("2", "pkg-2.tar.gz", 200)), gap=True)

    def test_a_quarantined_release_that_comes_back_is_no_recreation(self) -> None:
        before = project(("2", "pkg-2.tar.gz", 200))
        assert not is_recreated(before, OLD, gap=True)

    def test_deleted_and_made_anew_by_another_between_two_looks(self) -> None:
        new = project(("1", "pkg-1.zip", 300), owners=("bob",))
        assert is_recreated(OLD, new, gap=False)

    def test_an_owner_who_keeps_only_the_newest_build_has_the_same_project(self) -> None:
        assert not is_recreated(OLD, project(("3", "pkg-3.tar.gz", 300)), gap=False)
        both = project(("3", "pkg-3.tar.gz", 300), owners=("bob", "ann"))
        assert not is_recreated(OLD, both, gap=False)

    def test_without_known_owners_the_files_decide(self) -> None:
        unknown = project(("3", "pkg-3.tar.gz", 300), roles=False)
        assert is_recreated(OLD, unknown, gap=False)
        assert is_recreated(unknown, project(("4", "pkg-4.tar.gz", 400)), gap=False)

    def test_files_that_are_older_than_those_of_before_are_not_of_a_later_project(self) -> None:
        """An answer that had listed only some files."""
        other = project(("1", "pkg-1.zip", 50), owners=("bob",))
        assert not is_recreated(OLD, other, gap=False)

    @pytest.mark.parametrize("gap", [True, False])
    def test_without_files_nothing_is_known(self, gap: bool) -> None:
        bare = project(owners=("bob",))
        assert not is_recreated(OLD, bare, gap=gap)
        assert not is_recreated(bare, OLD, gap=gap)
        undated = project(("1", "pkg-1.zip", None), owners=("bob",))
        assert not is_recreated(OLD, undated, gap=gap)

    def test_the_bytes_of_a_file_under_another_name_are_not_the_file(self) -> None:
        """Everybody can upload what was public; a file name PyPI gives only once."""
        copied = File(filename="pkg-1-1-py3-none-any.whl", sha256="sha of pkg-1.tar.gz", upload_time=300)
        new = project(owners=("bob",))
        new = ProjectRecord(
            new.name, new.normalized_name, "1", 2, new.metadata, files={"1": (copied,)}, roles=new.roles
        )
        assert is_recreated(OLD, new, gap=True)


class TestReplaced:
    def files(self, *names: str) -> list[File]:
        return [File(filename=name, sha256=name) for name in names]

    def test_a_version_made_again_has_none_of_its_files(self) -> None:
        assert is_replaced(self.files("a-1.tar.gz"), self.files("a-1.zip"))

    @pytest.mark.parametrize(
        ("before", "after"), [(("a", "b"), ("b", "c")), (("a",), ("a", "b")), ((), ("a",)), (("a",), ())]
    )
    def test_one_that_keeps_a_file_or_has_none_is_the_same(
        self, before: tuple[str, ...], after: tuple[str, ...]
    ) -> None:
        assert not is_replaced(self.files(*before), self.files(*after))
