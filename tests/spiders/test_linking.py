"""Which repository a package is of: a wrong one shows a stranger's stars, a dead one nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.parsers.provenance import Publisher
from pyf_scrapy.parsers.records import DownloadCounts, Metadata, RepositoryRecord
from pyf_scrapy.spiders.linking import Linker
from pyf_scrapy.store import RepositoryFacts, Store
from pyf_scrapy.store.records import DownloadFacts, PackageFacts, RepositoryState
from tests.store.samples import facts, metadata

NOW = 1_795_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'pyf.sqlite'}", pypi_url="https://pypi.org") as store:
        yield store


def claims(name: str, *claimed: str) -> PackageFacts:
    """A package with a release for each "owner/name", the newest first."""
    versions = [f"{len(claimed) - place}.0" for place in range(len(claimed))]
    found: dict[str, Metadata] = {}
    for version, full_name in zip(versions, claimed, strict=True):
        urls = {"Source": f"https://github.com/{full_name}"}
        found[version] = structs.replace(metadata(version, name=name), project_urls=urls)
    package = facts(*versions, name=name, releases=found)
    return PackageFacts(
        structs.replace(package.project, metadata=found[versions[0]]), 10, found, at=1000
    )  # the project's JSON has the newest release's


def known(full_name: str, state: RepositoryState = "ok", **more: object) -> RepositoryFacts:
    key = f"github.com/{full_name}"
    if state != "ok":
        return RepositoryFacts(key, state, NOW)
    owner, name = full_name.split("/")
    record = RepositoryRecord(node_id=f"R_{owner}", owner=owner, name=name, **more)  # type: ignore[arg-type]
    return RepositoryFacts(key, "ok", NOW, record=record)


def linker(store: Store, *names: str) -> Linker:
    found = Linker(store, now=NOW)
    found.link(names)
    return found


def keys(weights: dict[str, int]) -> set[str]:
    return {key.removeprefix("github.com/") for key in weights}


def test_the_next_candidate_is_asked_about_when_the_first_is_dead(store: Store) -> None:
    """Else an abandoned link in the newest release hides a living repository."""
    store.save_packages([claims("a", "fresh/gone", "old/blocked", "older/lives", "oldest/unneeded")])
    link = linker(store, "a")
    assert keys(link.weights()) == {"fresh/gone"}
    for full_name, state in (("fresh/gone", "not_found"), ("old/blocked", "blocked")):
        store.save_repositories([known(full_name, state)])  # type: ignore[arg-type]
    assert keys(link.weights()) == {"fresh/gone", "old/blocked", "older/lives"}
    assert keys(link.weights(alive=True)) == {"older/lives"}
    link.save(["a"])
    assert store.links(["a"])["a"].key == "github.com/older/lives"
    assert list(store.problems()) == []


def test_all_dead_is_a_problem_with_the_first_ones_reason(store: Store) -> None:
    store.save_packages([claims("a", "fresh/blocked", "old/gone")])
    link = linker(store, "a")
    store.save_repositories([known("fresh/blocked", "blocked"), known("old/gone", "not_found")])
    link.save(["a"])
    assert link.problems() == {"blocked": 1}
    assert store.links(["a"])["a"].key is None


def test_one_that_gave_no_answer_keeps_its_link(store: Store) -> None:
    """It may answer tomorrow; the report says why there are no figures."""
    store.save_packages([claims("a", "slow/one", "old/lives")])
    link = linker(store, "a")
    store.save_repositories([known("slow/one", "unavailable")])
    link.save(["a"])
    assert store.links(["a"])["a"].key == "github.com/slow/one"
    assert link.problems() == {"unavailable": 1}
    assert keys(link.weights()) == {"slow/one"}


def test_packages_that_claim_the_old_and_the_new_name_share_one_repository(store: Store) -> None:
    store.save_packages([claims("a", "old/name"), claims("b", "fresh/name")])
    link = linker(store, "a", "b")
    assert keys(link.weights()) == {"old/name", "fresh/name"}
    store.rename("github.com/old/name", "github.com/fresh/name", NOW)
    store.save_repositories([known("fresh/name", packages=("a",))])
    assert keys(link.weights()) == {"fresh/name"}, "asked about once"
    assert set(link.packages_of(["github.com/fresh/name"])) == {"a", "b"}, "what is answered concerns both"
    link.save(["a", "b"])
    found = store.links(["a", "b"])
    assert {one.key for one in found.values()} == {"github.com/fresh/name"}
    assert {name: one.proof for name, one in found.items()} == {"a": "named", "b": "claimed"}


def test_most_downloads_and_most_packages_weigh_most(store: Store) -> None:
    """With 60 requests an hour the order decides whom anybody sees."""
    store.save_packages([claims("a", "one/loved"), claims("b", "two/shared"), claims("c", "two/shared")])
    counts = DownloadCounts("pypistats", NOW, 1, 10, 5000, None)
    store.save_downloads([DownloadFacts("a", "pypistats", NOW, counts)])
    weights = linker(store, "a", "b", "c").weights()
    assert weights == {"github.com/one/loved": 5001, "github.com/two/shared": 2}


def test_an_attestation_is_asked_for_once_and_kept(store: Store) -> None:
    """Also by a later run, and it does not vouch for another repository."""
    store.save_packages([claims("a", "one/repo"), claims("b", "one/repo")])
    store.save_repositories([known("one/repo", packages=("b",))])
    link = linker(store, "a", "b")
    assert [name for name, _ in link.unproven()] == ["a"], "b is named by the repository"
    link.attested("a", "1.0", [Publisher("GitHub", "One/Repo")])
    link.save(["a"])
    assert store.links(["a"])["a"].proof == "attested"
    later = linker(store, "a", "b")
    assert later.unproven() == []
    later.attested("a", "1.0", [Publisher("GitLab", "one/repo")])
    later.save(["a"])
    assert store.links(["a"])["a"].proof == "claimed"
    assert linker(store, "a", "b").unproven() == [], "it has none: asked again for the next release"


def test_one_unreadable_package_costs_only_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save_packages([claims("a", "one/a"), claims("b", "one/b"), claims("c", "one/c")])
    load = store.load_packages

    def broken(names: list[str]) -> object:
        if "b" in names:
            raise ValueError("what is this?")
        return load(names)

    monkeypatch.setattr(store, "load_packages", broken)
    link = linker(store, "a", "b", "c")
    assert keys(link.weights()) == {"one/a", "one/c"}
    assert list(link.unreadable) == ["b"]

    def failed(names: list[str]) -> object:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "load_packages", failed)
    with pytest.raises(StoreError):
        linker(store, "a")
