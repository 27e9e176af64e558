"""Which packages have a repository, how far that is proven, and why others have none; from the store alone.

The JSON of the problems has the keys of pyf.aggregator's github_problems.json.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pyf_scrapy.metadata.repositories import PROBLEMS, Proof, repository_of
from pyf_scrapy.parsers.records import Metadata
from pyf_scrapy.profiles import Profile
from pyf_scrapy.search.cleaning import MAX_ITEM, line
from pyf_scrapy.session import open_store
from pyf_scrapy.status.failures import has_store
from pyf_scrapy.store import TAKEN_OVER, RepositoryAge, RepositoryLink, Store
from pyf_scrapy.store.database import chunks

_FIELDS: Final = ("home_page", "download_url", "docs_url", "bugtrack_url")
_USER = re.compile(r"(?<=//)[^/?#\s]*@")  # and password
_DEAD: Final = ("not_found", "blocked")


@dataclass(frozen=True)
class RepositoryProblem:
    """A package without a usable repository.

    `repo_identifier`: "owner/name" of what was tried first, None where there was nothing to try. `reason`: a
    key of PROBLEMS. `urls`: the addresses that its latest release claims by field or "project_urls.LABEL",
    then what only older releases claim; as text, not all of them are of the web.
    """

    name: str
    repo_identifier: str | None
    reason: str
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RepositoryReport:
    """The repositories of packages.

    Of `packages`, `checked` were looked at by the spider github; of these, `proofs` have a repository that is
    known, by proof, `waiting` one that GitHub has not been asked about yet, and the others are `problems`.
    `repositories` counts those known, `renamed` those of them that their packages know by a former name;
    `oldest` is when GitHub said what is known for longest (epoch seconds).
    """

    folder: str
    crawled: bool = False
    collections: list[str] = field(default_factory=list)
    packages: int = 0
    checked: int = 0
    proofs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, Proof), 0))
    waiting: int = 0
    repositories: int = 0
    renamed: int = 0
    oldest: int | None = None
    count: int = 0
    problems: list[RepositoryProblem] = field(default_factory=list)

    def by_reason(self) -> Iterator[tuple[str, list[RepositoryProblem]]]:
        """The problems of each reason that there is, in the order of PROBLEMS, with its sentence."""
        for reason, sentence in PROBLEMS.items():
            some = [problem for problem in self.problems if problem.reason == reason]
            if some:
                yield f"{sentence} ({reason})", some


def repository_report(settings: Mapping[str, Any], collection: str | None = None) -> RepositoryReport:
    """Look at the packages of a collection, or of all. Makes no store; raises StoreError."""
    folder = str(settings["PYF_DATA_DIR"])
    if not has_store(settings):
        return RepositoryReport(folder)
    with open_store(settings, of_any_pypi=True) as store:
        rows = [row for row in store.collections() if collection in (None, row.collection)]
        profiles = [Profile.from_definition(row.definition) for row in rows]
        names = sorted({name for profile in profiles for name in store.members(profile)})
        return _of_store(store, folder, [row.collection for row in rows], names)


def _of_store(store: Store, folder: str, collections: list[str], names: list[str]) -> RepositoryReport:
    # What was taken over from another system was not looked at here.
    links = {name: link for name, link in store.links(names).items() if link.checked_at != TAKEN_OVER}
    ages = store.repository_ages({link.key for link in links.values() if link.key is not None})
    failing = [key for key, age in ages.items() if age.state == "unavailable"]
    unknown = {key for key, facts in store.repositories(failing).items() if facts.record is None}
    proofs = Counter(dict.fromkeys(map(str, Proof), 0))
    known: dict[str, RepositoryAge] = {}
    renamed: set[str] = set()
    waiting = 0
    troubled: dict[str, tuple[RepositoryLink, str]] = {}
    for name in names:
        if (link := links.get(name)) is None:
            continue
        age = None if link.key is None else ages.get(link.key)
        if (reason := _reason(link, age, unknown)) is not None:
            troubled[name] = link, reason
        elif age is None:
            waiting += 1
        else:
            proofs[str(link.proof or Proof.CLAIMED)] += 1
            known[age.key] = age
            if link.candidates and link.key not in link.candidates:
                renamed.add(age.key)
    problems = list(_problems(store, troubled))
    return RepositoryReport(
        folder=folder,
        crawled=True,
        collections=collections,
        packages=len(names),
        checked=len(links),
        proofs=dict(proofs),
        waiting=waiting,
        repositories=len(known),
        renamed=len(renamed),
        oldest=min((age.fetched_at for age in known.values()), default=None),
        count=len(problems),
        problems=problems,
    )


def _reason(link: RepositoryLink, age: RepositoryAge | None, unknown: Iterable[str]) -> str | None:
    """Why a package has no usable repository, a key of PROBLEMS; None when it has one, or may have."""
    if link.key is None:
        return link.problem if link.problem in PROBLEMS else "no_repo_url"
    if age is not None and age.state in _DEAD:
        return age.state
    return "unavailable" if link.key in unknown else None


def _problems(
    store: Store, troubled: Mapping[str, tuple[RepositoryLink, str]]
) -> Iterator[RepositoryProblem]:
    for some in chunks(troubled):
        for record in store.latest_records(some):
            link, reason = troubled[record.normalized_name]
            tried = link.key or next(iter(link.candidates), None)
            yield RepositoryProblem(
                name=line(record.name, MAX_ITEM),
                repo_identifier=None if tried is None else tried.partition("/")[2],
                reason=reason,
                urls=_claimed(record.metadata, link),
            )


def _claimed(metadata: Metadata, link: RepositoryLink) -> dict[str, str]:
    """The addresses that a package names, without passwords; those of older releases only as repositories."""
    written = {name: getattr(metadata, name) for name in _FIELDS}
    written |= {f"project_urls.{label}": url for label, url in (metadata.project_urls or {}).items()}
    found = {
        line(label, MAX_ITEM): address
        for label, url in written.items()
        if (address := _USER.sub("", line(url))) not in ("", "UNKNOWN")
    }
    repositories = (repository_of(url) for url in written.values() if url)
    led_to = {repository.key for repository in repositories if repository is not None}
    older = [f"https://{key}" for key in link.candidates if key not in led_to]
    return found | {f"older release {place}": address for place, address in enumerate(older, 1)}
