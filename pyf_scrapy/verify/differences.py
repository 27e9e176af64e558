"""The differences that `scrapy verify` names, and its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

#: Told how far a step is: what is being done, how much of it, of how much.
Progress = Callable[[str, int, int], None]


class Kind(StrEnum):
    """What differs: documents by what the store says, what was noted of them, the store by what PyPI says."""

    MISSING = "missing"  # a document is not in the index
    SURPLUS = "surplus"  # a document of an unknown release, or of a package that does not belong
    DIFFERENT = "different"  # a document says something else
    WAITING = "waiting"  # a package's stored facts are not in the index yet; the next crawl sends them
    BOOKKEEPING = "bookkeeping"  # the store notes something else of a document than the index has
    BEHIND = "behind"  # PyPI's serial is newer than the stored one
    GONE = "gone"  # PyPI has no such project
    QUARANTINED = "quarantined"  # PyPI has put it in quarantine
    RELEASES = "releases"  # at the same serial, other releases
    YANKED = "yanked"  # at the same serial, another word on whether a release is yanked
    CLASSIFIERS = "classifiers"  # at the same serial, other classifiers
    VULNERABILITIES = "vulnerabilities"  # other advisories, which move no serial
    ORGANIZATION = "organization"  # another owner, which moves no serial
    STATUS = "status"  # another status marker (PEP 792), which moves no serial
    UNREACHABLE = "unreachable"  # PyPI gave no usable answer: no difference, but nothing was verified


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `package` is a normalized name (None: of the whole collection), `id` a document's."""

    package: str | None
    id: str | None
    kind: Kind
    detail: str


@dataclass(frozen=True)
class Report:
    """What was compared and what differed.

    `packages` are those of the store that belong to the collection, `documents` those that the index has.
    PyPI was asked about `asked` of `to_ask` packages, chosen by `seed` (None: not chosen by chance);
    `stopped` says why it was not asked about the rest. `counts` has every kind. What gave no usable answer
    is in `unreachable`, not in `differences`.
    """

    collection: str
    profile: str
    packages: int
    documents: int
    to_ask: int
    asked: int
    seed: int | None
    stopped: str | None
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unreachable: list[Difference] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether all that was to be compared was compared, and nothing differs."""
        return not (self.differences or self.unreachable or self.stopped)


def counted(differences: Iterable[Difference]) -> dict[str, int]:
    """How many there are of each kind, in the order of `Kind`."""
    found = Counter(difference.kind for difference in differences)
    return {kind.value: found[kind] for kind in Kind}
