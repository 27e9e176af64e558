"""`scrapy show`: everything about one package of a collection."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import ExitCode, print_json, print_summary, print_table, print_text
from pyf_scrapy.dates import day
from pyf_scrapy.exceptions import SearchError
from pyf_scrapy.lookup import did_you_mean, existing_collection
from pyf_scrapy.metadata.health.explanation import ADVICE, EXPLAINED, advice, explained
from pyf_scrapy.search.queries import show
from pyf_scrapy.search.schema import VERSION_FIELDS

_NEWEST = 5  # releases named on the page

#: `github_proof` in words.
_PROOFS = {
    "attested": "proven: PyPI attests that releases are published from it",
    "named": "proven: the repository names this package",
    "claimed": "not proven: only the package says that it is its own",
}

Document = Mapping[str, Any]


class Command(PyfCommand):
    arguments = (1, 1)
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "NAME [-p PROFILE | -c COLLECTION] [--all-versions] [--json]"

    def short_desc(self) -> str:
        return "Show a package of the index, by any spelling of its name, and explain its health"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--all-versions", action="store_true", help="a table of all its releases")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        collection = self.selected_collection(opts)
        with existing_collection(self.project_settings, collection, self.profiles().values()) as client:
            documents = show(client, collection, args[0], all_versions=True)
            if not documents:
                raise SearchError(
                    f"no package {args[0]!r} in {collection}{did_you_mean(client, collection, args[0])}"
                )
        if opts.json:
            print_json(
                {
                    "name": documents[0]["name"],
                    "collection": collection,
                    "latest": documents[0],
                    "versions": [
                        {name: document.get(name) for name in VERSION_FIELDS} for document in documents
                    ],
                }
            )
        else:
            _print(documents, all_versions=opts.all_versions)
        return ExitCode.OK


def _print(documents: Sequence[Document], *, all_versions: bool) -> None:
    latest = documents[0]
    print_text(f"{latest['name']} {latest['version']}")
    if latest["summary"]:
        print_text(latest["summary"])
    print_text()
    print_summary({name: value for name, value in _facts(latest, documents) if value not in (None, "")})
    if "health_score_breakdown" in latest:
        breakdown = latest["health_score_breakdown"]
        print_text()
        print_table(EXPLAINED, explained(breakdown, latest["health_score"]))
        print_text()
        print_table(ADVICE, advice(breakdown), empty="nothing is known that would raise the score")
    if all_versions:
        print_text()
        print_table(
            ("version", "released", "python", "frameworks", "remarks"),
            (
                (
                    document["version"],
                    day(document["upload_timestamp"]),
                    document.get("requires_python"),
                    ", ".join(document["framework_versions"]),
                    _explained(document),
                )
                for document in documents
            ),
        )


def _facts(latest: Document, documents: Sequence[Document]) -> Iterator[tuple[str, object]]:
    yield "released", day(latest["upload_timestamp"])
    yield "remarks", _explained(latest)
    yield "licence", latest.get("license_expression") or latest["license"]
    yield "author", _person(latest["author"], latest["author_email"])
    yield "maintainer", _person(latest["maintainer"], latest["maintainer_email"])
    yield "python", latest.get("requires_python")
    yield "frameworks", ", ".join(latest["framework_versions"])
    yield "keywords", ", ".join(latest["keywords"])
    yield "status", latest.get("project_status")
    yield "vulnerabilities", latest.get("vulnerabilities") or None
    yield "addresses", "\n".join(_addresses(latest))
    yield "repository", _repository(latest)
    yield "downloads", _downloads(latest)
    yield "releases", _releases(documents)
    yield "serial", str(latest["serial"]) if "serial" in latest else None
    yield "health", _health(latest)


def _health(latest: Document) -> str | None:
    if "health_score" not in latest:
        return None
    confidence = latest.get("health_score_breakdown", {}).get("confidence")
    return f"{latest['health_score']} of 100" + (
        f", confidence {confidence} %" if confidence is not None else ""
    )


def _person(name: str, email: str) -> str:
    """Name and address; an address that holds the name already stands alone."""
    return email if name in email else f"{name} <{email}>" if email else name


def _addresses(latest: Document) -> Iterator[str]:
    """Each address once, with the label that its authors gave it first."""
    labelled = [
        *latest.get("project_urls", {}).items(),
        ("Home page", latest.get("home_page")),
        ("Documentation", latest.get("docs_url")),
        ("Bug tracker", latest["bugtrack_url"]),
        ("Download", latest.get("download_url")),
        ("PyPI", latest.get("package_url")),
    ]
    shown: set[str] = set()
    for label, address in labelled:
        if address and address not in shown:
            shown.add(address)
            yield f"{label}: {address}"


def _repository(latest: Document) -> str | None:
    """What GitHub says of it, and what proves that it is the package's own."""
    if "github_url" not in latest:
        return None
    said = [
        _counted(latest[name], one, several)
        for name, one, several in (
            ("github_stars", "star", "stars"),
            ("github_forks", "fork", "forks"),
            ("github_open_issues", "open issue", "open issues"),
            ("github_open_pull_requests", "open pull request", "open pull requests"),
        )
        if name in latest
    ]
    if latest.get("github_archived"):
        said.append("archived")
    if pushed := day(latest.get("github_updated")):
        said.append(f"last push {pushed}")
    proof = _PROOFS.get(latest.get("github_proof", ""))
    return "\n".join(filter(None, (latest["github_url"], ", ".join(said), proof)))


def _downloads(latest: Document) -> str | None:
    """As one source counted them; what it does not tell is left out."""
    said = [
        f"{latest[name]:,} {text}"
        for name, text in (
            ("download_last_day", "in the last day"),
            ("download_last_week", "in the last week"),
            ("download_last_month", "in the last month"),
            ("download_total", "in total"),
        )
        if name in latest
    ]
    if not said:
        return None
    source = ", ".join(filter(None, (latest.get("download_source"), day(latest.get("download_updated")))))
    return ", ".join(said) + (f" ({source})" if source else "")


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _releases(documents: Sequence[Document]) -> str:
    newest = ", ".join(
        " ".join([document["version"], *(f"({mark})" for mark in _marks(document))])
        for document in documents[:_NEWEST]
    )
    more = ", ..." if len(documents) > _NEWEST else ""
    partial = sum(document["partial"] for document in documents)
    without = f"; {partial:,} partial (PyPI has no metadata of their own)" if partial else ""
    return f"{len(documents):,}: {newest}{more}{without}"


def _marks(document: Document) -> list[str]:
    states = {"partial": "partial", "is_prerelease": "pre-release", "yanked": "yanked"}
    return [mark for state, mark in states.items() if document[state]]


def _explained(document: Document) -> str:
    """The marks, and why it was yanked."""
    reason = document.get("yanked_reason")
    return ", ".join(_marks(document)) + (f": {reason}" if reason else "")
