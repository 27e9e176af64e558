"""Which repository each package is of: worked out from stored facts, kept in the store; blocking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.metadata.releases import Release, combine
from pyf_scrapy.metadata.repositories import Link, candidates, problem, proof
from pyf_scrapy.parsers.provenance import Publisher
from pyf_scrapy.store import RepositoryFacts, RepositoryLink, Store, StoredPackage
from pyf_scrapy.store.database import chunks

#: States of repositories for which the next candidate is tried.
DEAD = frozenset({"not_found", "blocked"})

_LOADED = 100  # packages in memory at a time

#: Name, version and file name: what PyPI's integrity API is asked by.
File = tuple[str, str, str]


@dataclass
class _Package:
    """What is kept in memory of a package."""

    candidates: tuple[Link, ...]
    problem: str | None
    weight: int
    file: File | None
    publisher: str | None = None
    publisher_version: str | None = None


@dataclass
class Linker:
    """Links packages to repositories as of `now` (epoch seconds).

    `unreadable`: packages whose stored facts could not be read, and why; they cost only themselves.
    """

    store: Store
    now: int
    unreadable: dict[str, str] = field(default_factory=dict)
    _packages: dict[str, _Package] = field(default_factory=dict)
    _of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def link(self, names: Sequence[str]) -> None:
        """Work out which repositories packages may be of, and store which one it is by what is known."""
        for some in chunks(names, _LOADED):
            known = self.store.links(some)
            for name, found in self._read(some):
                self._packages[name] = found
                if name in known:
                    found.publisher = known[name].publisher
                    found.publisher_version = known[name].publisher_version
                for link in found.candidates:
                    self._of[link.repository.key].append(name)
            self.save(some)

    def _read(self, names: Sequence[str]) -> Iterator[tuple[str, _Package]]:
        try:
            found = [(one.normalized_name, _package(one)) for one in self.store.load_packages(names)]
        except StoreError:
            raise
        except Exception as error:  # whatever a row that nobody can read raises
            if len(names) == 1:
                self.unreadable[names[0]] = f"stored facts cannot be read: {type(error).__name__}"
            else:
                for name in names:
                    yield from self._read([name])
            return
        yield from found

    def packages_of(self, keys: Iterable[str]) -> list[str]:
        """The packages that may be of these repositories."""
        return list(dict.fromkeys(name for key in keys for name in self._of.get(key, ())))

    def weights(self, *, alive: bool = False) -> dict[str, int]:
        """The repositories to ask about, with how much they are wanted: by downloads, and number of packages.

        Those of a package are its candidates up to the first not known to be dead; `alive`: only that one.
        """
        ages = self.store.repository_ages(self._of)
        found: Counter[str] = Counter()
        for package in self._packages.values():
            for link in package.candidates:
                key = link.repository.key
                dead = key in ages and ages[key].state in DEAD
                if not (alive and dead):
                    found[ages[key].key if key in ages else key] += package.weight + 1
                if not dead:
                    break
        for key in [key for key in self._of if key in ages and ages[key].key != key]:
            present = ages[key].key  # what is answered about it concerns these packages, too
            self._of[present] = list(dict.fromkeys((*self._of.get(present, ()), *self._of[key])))
        return dict(found)

    def save(self, names: Iterable[str]) -> None:
        """Store which repository each of these packages is of, by what is known now."""
        for some in chunks(name for name in names if name in self._packages):
            keys = {link.repository.key for name in some for link in self._packages[name].candidates}
            known = self.store.repositories(keys)
            self.store.save_links([self._link(name, known) for name in some])

    def unproven(self) -> list[tuple[str, File]]:
        """Packages whose repository is only claimed and whose latest release PyPI was not asked about."""
        found = []
        for some in chunks(self._packages):
            for name, link in self.store.links(some).items():
                package = self._packages[name]
                if link.key is None or link.proof != "claimed" or package.file is None:
                    continue
                if package.publisher_version != package.file[1]:
                    found.append((name, package.file))
        return found

    def attested(self, name: str, version: str, publishers: Sequence[Publisher]) -> None:
        """Take who published a release by PyPI's attestations; `save` stores it."""
        package = self._packages[name]
        package.publisher_version = version
        package.publisher = next((p.repository for p in publishers if p.kind == "GitHub"), None)

    def problems(self) -> dict[str, int]:
        """How many packages have no figures of a repository, by reason; blocking."""
        return dict(Counter(link.problem for link in self.store.problems(self._packages) if link.problem))

    def _link(self, name: str, known: dict[str, RepositoryFacts]) -> RepositoryLink:
        package = self._packages[name]
        keys = tuple(link.repository.key for link in package.candidates)
        state = None
        for link in package.candidates:
            facts = known.get(link.repository.key)
            if facts is not None and facts.state in DEAD:
                state = state or facts.state
                continue
            record = facts.record if facts is not None else None
            unknown = facts is not None and facts.state == "unavailable" and record is None
            return RepositoryLink(
                name,
                link.repository.key,
                self.now,
                url=link.repository.url,
                label=link.label,
                proof=proof(name, link.repository, record, package.publisher),
                problem="unavailable" if unknown else None,
                candidates=keys,
                publisher=package.publisher,
                publisher_version=package.publisher_version,
            )
        return RepositoryLink(
            name,
            None,
            self.now,
            problem=state or package.problem,
            candidates=keys,
            publisher=package.publisher,
            publisher_version=package.publisher_version,
        )


def _package(package: StoredPackage) -> _Package:
    releases = combine(package.project, package.releases)
    return _Package(
        candidates(releases),
        problem(releases),
        max((counts.last_month or 0 for counts in package.downloads.values()), default=0),
        _file(package.normalized_name, releases[0]) if releases else None,
    )


def _file(name: str, latest: Release) -> File | None:
    """Any file of a release: all that were published together were attested together."""
    filename = next((file.filename for file in latest.files if file.filename), None)
    return None if filename is None else (name, latest.version, filename)
