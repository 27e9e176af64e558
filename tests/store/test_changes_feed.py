"""The numbers of changes and the events that a copy, a feed and a newsletter are made of. What fails here is
a change that nobody hears of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from pyf_scrapy.metadata.repository_proof import Proof
from pyf_scrapy.parsers.records import Vulnerability
from pyf_scrapy.store import PackageFacts, Store
from pyf_scrapy.store.copies import CopyState
from pyf_scrapy.store.scores import Score

from .samples import check, downloads, facts, gone, link, repository, verified


def told(store: Store) -> list[tuple[str, str | None, object]]:
    return [(event.kind, event.version, event.detail) for event in store.events()[1:]]


def vulnerable(
    found: PackageFacts, *advisories: Vulnerability, organization: str | None = None
) -> PackageFacts:
    project = structs.replace(found.project, vulnerabilities=advisories, organization=organization)
    return replace(found, project=project)


BAD = Vulnerability("GHSA-1", summary="s" * 1000, fixed_in=("2.0",))


def test_advisories_are_told_once_and_when_they_end(store: Store) -> None:
    store.save_packages([vulnerable(facts("1.0"), BAD)])
    store.save_packages([vulnerable(facts("1.0", serial=11), BAD)])
    store.save_packages([vulnerable(facts("1.0", serial=12), replace_(BAD, id="GHSA-2"), BAD)])
    store.save_packages([vulnerable(facts("1.0", serial=13), replace_(BAD, withdrawn="2026-01-01"))])
    store.save_packages([facts("1.0", serial=14)])  # an answer that does not say
    detail = {"summary": "s" * 300, "fixed_in": ["2.0"]}
    assert told(store) == [
        ("advisory", "1.0", {"id": "GHSA-1", **detail}),
        ("advisory", "1.0", {"id": "GHSA-2", **detail}),
        ("advisory_ended", "1.0", {"id": "GHSA-1"}),
        ("advisory_ended", "1.0", {"id": "GHSA-2"}),
    ]


def replace_(advisory: Vulnerability, **changes: str) -> Vulnerability:
    return structs.replace(advisory, **changes)


def test_owners_that_change_are_told(store: Store) -> None:
    store.save_packages([facts("1.0", owner="ann")])
    store.save_packages([facts("1.0", serial=11)])  # an answer that names none
    store.save_packages([facts("1.0", serial=12, owner="ann")])
    assert told(store) == []
    first = vulnerable(facts("1.0", serial=13, owner="ann"), organization="acme")
    store.save_packages([first])
    assert told(store) == [
        ("owners_changed", None, {"added": [], "removed": [], "organization": {"from": None, "to": "acme"}})
    ]


def test_a_score_that_moves_is_told(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.note_scores([Score("some-pkg", 40, 1000)])
    store.note_scores([Score("some-pkg", 40, 1100), Score("some-pkg", 55, 1200), Score("some-pkg", 55, 1300)])
    store.note_scores([Score("some-pkg", 20, 900)])  # of a crawl that began before
    assert told(store) == [("score_moved", None, {"from": 40, "to": 55})]
    assert store.events()[-1].at == 1200


def test_a_copy_tells_no_scores_of_its_own(store: Store) -> None:
    """They come from its source; it would tell all of them twice."""
    store.save_packages([facts("1.0")])
    store.save_copy_state(CopyState("http://127.0.0.1:1", "ab", None))
    for score in (40, 50):
        store.note_scores([Score("some-pkg", score, score)])
    assert told(store) == []
    store.save_copy_state(None)
    assert store.copy_state() is None


Write = Callable[[Store], object]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.record_checks([check("some-pkg", 11)]),
        lambda store: store.save_packages([facts("1.0", serial=11)]),
        lambda store: store.record_checks([gone("Some.Pkg")]),
        lambda store: store.save_verified([verified("some-pkg", "active")]),
        lambda store: store.save_verified([verified("some-pkg", "archived")]),
        lambda store: store.save_links([link("some-pkg", "github.com/o/y")]),
        lambda store: store.save_repositories([repository("github.com/o/x", stars=2, at=3000)]),
        lambda store: store.save_repositories([repository("github.com/o/x", "unavailable", at=3000)]),
        lambda store: store.rename("github.com/o/x", "github.com/o/z", 3000),
        lambda store: store.save_downloads([downloads("some-pkg", 7, at=3000)]),
        lambda store: store.save_downloads([downloads("some-pkg", 1, at=3000)]),
    ],
)
def test_whatever_is_learnt_of_a_project_is_a_change_of_it(store: Store, write: Write) -> None:
    """Also what no document shows, such as when figures were fetched: a page shows their age."""
    store.save_packages([facts("1.0"), facts("1.0", name="other")])
    store.save_repositories([repository("github.com/o/x", stars=1)])
    store.save_links([link("some-pkg", "github.com/o/x", proof=Proof.NAMED)])
    store.save_downloads([downloads("some-pkg", 1)])
    before = store.position()
    write(store)
    after = store.position()
    changed = store.projects_changed((before.change, "~"), after.change, 10)
    assert [one.normalized_name for one in changed] == ["some-pkg"]


def test_what_is_no_news_is_no_change(store: Store) -> None:
    store.save_packages([facts("1.0")])
    before = store.position()
    store.save_verified([verified("some-pkg", None)])
    store.save_downloads([])
    store.bury(["some-pkg"], 3000)
    assert store.projects_changed((before.change, "~"), store.position().change, 10) == []


def test_a_tombstone_is_a_change(store: Store) -> None:
    store.save_packages([facts("1.0")])
    store.record_checks([gone("Some.Pkg")])
    before = store.position()
    store.bury(["some-pkg"], 3000)
    assert store.position() > before
    assert store.projects_changed((before.change, "~"), store.position().change, 10)[0].status == "removed"


def test_each_store_has_a_name_of_its_own_that_stays(
    store: Store, url: str, new_url: Callable[[], str]
) -> None:
    with Store(url) as again, Store(new_url()) as other:
        assert again.store_id() == store.store_id() != ""
        assert other.store_id() != store.store_id()
